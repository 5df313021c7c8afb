/** Brings an ended session back; first its workspace, where that was removed. */
import { useCommand } from "../../state/context.tsx";
import { resume } from "../../state/resume.ts";
import { useWorkspace } from "../../state/session.ts";
import { useAct } from "./act.ts";
import { useOpen } from "./open.tsx";

export type Revival = {
  /** Whether the workspace was removed or is missing: without it the session cannot go on. */
  readonly isRemoved: boolean;
  readonly isBusy: boolean;
  /** What the button says. */
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
  const revive = () => carryOut("The session is back", () => resume(command, item.id));
  return { isRemoved, isBusy, label: isRemoved ? "Restore the workspace and resume" : "Resume", revive };
}
