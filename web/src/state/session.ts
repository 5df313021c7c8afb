/** The documents of a session's page, read over REST, and read again after events that change them. */
import { keepPreviousData, type UseQueryResult, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import type { FileItem, SessionDetail, TodoItem, WorkspaceDetail } from "../wire/api.ts";
import type { AuditEvent } from "../wire/events.ts";
import type { ConversationItem, EventType, LoggedEvent, QueuedItem, TurnItem } from "../wire/types.ts";
import { api, type Read, read } from "./api.ts";
import { askLog } from "./log.ts";
import { useDocument } from "./queries.ts";
import type { OpenTranscript } from "./transcripts.ts";

type What = "detail" | "turns" | "todos" | "queue" | "conversations" | "files" | "workspace" | "snapshots";

function key(what: What, id: string, at: number | null): readonly unknown[] {
  return ["session", id, what, at];
}

/** The documents that each type of event changes. */
const TOUCHES: Readonly<Partial<Record<EventType, readonly What[]>>> = {
  "session.prompt-accepted": ["queue"],
  "session.prompt-withdrawn": ["queue"],
  "session.prompt-edited": ["queue"],
  "session.turn-started": ["queue", "turns"],
  "session.turn-steered": ["queue", "turns"],
  "session.request-answered": ["detail"],
  "session.step-snapshot-taken": ["snapshots"],
  "session.changes-recorded": ["turns", "files", "workspace"],
  "session.turn-ended": ["turns", "todos", "conversations", "detail", "files"],
  "session.turn-failed": ["turns", "todos", "conversations", "detail", "files"],
  "session.workspace-attached": ["detail", "workspace"],
  "session.conversation-opened": ["detail"],
  "session.resumed": ["detail", "queue", "workspace"],
  "session.stopped": ["detail", "queue", "workspace"],
  "session.completed": ["detail", "queue", "workspace"],
  "session.disconnected": ["detail", "queue", "turns"],
};

/** Return the documents that an event changes. */
function touched(event: LoggedEvent): readonly What[] {
  if (event.erased) return [];
  if (event.type === "session.part-recorded") return isTodoList(event.data.body) ? ["todos"] : [];
  return TOUCHES[event.type] ?? [];
}

function isTodoList(body: unknown): boolean {
  return typeof body === "object" && body !== null && (body as { tool?: unknown }).tool === "todowrite";
}

/** Keep the documents of a session current while the page follows it. */
export function useFreshness(transcript: OpenTranscript): void {
  const queries = useQueryClient();
  const { sessionId } = transcript.which;
  useEffect(
    () =>
      transcript.listen(event => {
        for (const what of touched(event)) void queries.invalidateQueries({ queryKey: ["session", sessionId, what] });
      }),
    [queries, transcript, sessionId],
  );
}

/** Return the query for a document of the session as of a position. */
function asOf(id: string, at: number | null) {
  return { path: { session_id: id }, query: at === null ? {} : { at } };
}

/** While one position is being read, the document of the earlier one stays visible. */
const KEPT = { placeholderData: keepPreviousData };

export function useDetail(id: string, at: number | null): UseQueryResult<SessionDetail> {
  const params = asOf(id, at);
  return useDocument(key("detail", id, at), () => api.GET("/api/sessions/{session_id}", { params }), KEPT);
}

export function useTurnItems(id: string, at: number | null): UseQueryResult<readonly TurnItem[]> {
  const params = asOf(id, at);
  return useDocument(key("turns", id, at), () => api.GET("/api/sessions/{session_id}/turns", { params }), KEPT);
}

export function useTodos(id: string, at: number | null): UseQueryResult<readonly TodoItem[]> {
  const params = asOf(id, at);
  return useDocument(key("todos", id, at), () => api.GET("/api/sessions/{session_id}/todos", { params }), KEPT);
}

export function useQueue(id: string, at: number | null): UseQueryResult<readonly QueuedItem[]> {
  const { path, query } = asOf(id, at);
  const params = { path, query: { limit: 100, ...query } };
  return useDocument(key("queue", id, at), () => api.GET("/api/sessions/{session_id}/queue", { params }), KEPT);
}

export function useConversations(id: string): UseQueryResult<readonly ConversationItem[]> {
  const params = { path: { session_id: id } };
  return useDocument(key("conversations", id, null), () =>
    api.GET("/api/sessions/{session_id}/conversations", { params }),
  );
}

/** A file or directory of the session, as it is now or as of a log position. */
export function useFile(id: string, path: string, at: number | null): UseQueryResult<FileItem> {
  const params = asOf(id, at);
  return useDocument([...key("files", id, at), path], () =>
    path === ""
      ? api.GET("/api/sessions/{session_id}/files", { params })
      : api.GET("/api/sessions/{session_id}/files/{path}", { params: { ...params, path: { ...params.path, path } } }),
  );
}

/** Return after which calls of a turn a snapshot of the files was taken: its position in the log by the part's id. */
export function useSnapshots(id: string, turn: TurnItem | undefined): ReadonlyMap<string, number> {
  const { data } = useQuery({
    queryKey: [...key("snapshots", id, null), turn?.number, turn?.endPosition],
    queryFn: () => (turn === undefined ? NO_SNAPSHOTS : snapshotsIn(id, turn)),
    enabled: turn !== undefined,
    staleTime: Number.POSITIVE_INFINITY, // of a running turn, an event announces each new one
  });
  return data ?? NO_SNAPSHOTS;
}

const NO_SNAPSHOTS: ReadonlyMap<string, number> = new Map();

async function snapshotsIn(id: string, turn: TurnItem): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  const type = "session.step-snapshot-taken";
  const end = turn.endPosition === null ? {} : { before: turn.endPosition };
  for (let after: number | null = turn.position; after !== null; ) {
    const { body, goOn }: Read<AuditEvent[]> = await read(askLog({ session: id, type, after, limit: 200, ...end }));
    for (const event of body)
      if (event.type === type && !event.erased && event.data.number === turn.number)
        found.set(event.data.part_id, event.position);
    after = goOn;
  }
  return found;
}

/** The session's workspace as it is now. */
export function useWorkspace(id: string, workspaceId: string): UseQueryResult<WorkspaceDetail> {
  const params = { path: { workspace_id: workspaceId } };
  return useDocument(key("workspace", id, null), () => api.GET("/api/workspaces/{workspace_id}", { params }));
}

/** Find files of the session by a part of their path. */
export function useFoundFiles(instanceId: string | null, sessionId: string, query: string | null): readonly string[] {
  const params = {
    path: { instance_id: instanceId ?? "" },
    query: { session: sessionId, query: query ?? "", limit: 12 },
  };
  const { data } = useDocument(
    ["found", instanceId, sessionId, query],
    () => api.GET("/api/instances/{instance_id}/find/files", { params }),
    { ...KEPT, enabled: instanceId !== null && query !== null },
  );
  return query === null ? [] : (data ?? []);
}
