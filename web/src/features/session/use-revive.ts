/** Brings an ended session back; first its workspace, where that was removed. */
import { useWorkspace } from "../../state/session.ts";
import { useAct } from "./act.ts";
import { useOpen } from "./open.tsx";

export type Revival = {
  /** Whether the workspace was removed: without it the session cannot go on. */
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
  const { isBusy, act } = useAct();
  const isRemoved = workspace?.status === "removed";
  async function revive(): Promise<boolean> {
    if (isRemoved && !(await act(null, "POST", `/api/workspaces/${item.workspaceId}/restore`))) return false;
    return act("The session is back", "POST", `/api/sessions/${item.id}/resume`);
  }
  return { isRemoved, isBusy, label: isRemoved ? "Restore the workspace and resume" : "Resume", revive };
}
