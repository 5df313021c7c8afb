/** Resumes a session that has ended, everywhere in the page: first it restores a removed workspace. */
import type { WorkspaceDetail } from "../wire/api.ts";
import { api, read } from "./api.ts";
import { type Commands, Refused } from "./commands.ts";
import { readSession } from "./queries.ts";

type Command = Commands["run"];

/** Resume a session, with a new conversation if `fresh`. Rejects with `Refused`. */
export async function resume(command: Command, sessionId: string, fresh = false): Promise<void> {
  await restoreWorkspaceOf(command, sessionId);
  await command("POST", `/api/sessions/${sessionId}/resume`, fresh ? { fresh } : undefined);
}

/** Restore the session's workspace if it was removed, before a prompt resumes the session. Rejects with `Refused`. */
export async function restoreWorkspaceOf(command: Command, sessionId: string): Promise<void> {
  const removed = await removedWorkspace(sessionId);
  if (removed !== null) await command("POST", `/api/workspaces/${removed}/restore`);
}

/** Return the id of the session's workspace if it was removed. If it cannot be read, the resume reports why. */
async function removedWorkspace(sessionId: string): Promise<string | null> {
  try {
    const { workspaceId } = await readSession(sessionId);
    const params = { path: { workspace_id: workspaceId } };
    const { body } = await read<WorkspaceDetail>(api.GET("/api/workspaces/{workspace_id}", { params }));
    return body.status === "removed" || body.status === "missing" ? workspaceId : null;
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}
