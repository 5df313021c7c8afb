/** Resumes a session that has ended or lost its conversation; before that, it restores a removed workspace. */
import { hasEnded } from "../../core/status.ts";
import { useCommand } from "../../state/context.tsx";
import { resume } from "../../state/resume.ts";
import { useWorkspace } from "../../state/session.ts";
import { useAct } from "./act.ts";
import { useOpen } from "./open.tsx";

export type Revival = {
  /** Whether the session takes no prompt as it is. */
  readonly isNeeded: boolean;
  /** Whether the workspace was removed or is missing: without it the session cannot continue. */
  readonly isRemoved: boolean;
  readonly isBusy: boolean;
  /** The label of the button. */
  readonly label: string;
  /** Resolves to whether the session is back. */
  readonly revive: () => Promise<boolean>;
};

export function useRevive(): Revival {
  const { item } = useOpen();
  const { data: workspace } = useWorkspace(item.id, item.workspaceId);
  const command = useCommand();
  const { isBusy, carryOut } = useAct();
  const isRemoved = workspace?.status === "removed" || workspace?.status === "missing";
  const isGone = item.failure?.code === "session_gone";
  const revive = () => carryOut("The session is resumed", () => resume(command, item.id, isGone));
  return { isNeeded: isGone || hasEnded(item.status), isRemoved, isBusy, label: labelOf(isGone, isRemoved), revive };
}

function labelOf(isGone: boolean, isRemoved: boolean): string {
  if (isGone) return "Begin a new conversation";
  return isRemoved ? "Restore the workspace and resume" : "Resume";
}
