/** What a session's page reads over REST, kept fresh by the session's own events. */
import { type UseQueryResult, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import type { FileItem, OfferItem, SessionDetail, TodoItem, WorkspaceDetail } from "../wire/api.ts";
import type { ConversationItem, EventType, LoggedEvent, QueuedItem, TurnItem } from "../wire/types.ts";
import { api, read } from "./api.ts";
import type { OpenTranscript } from "./transcripts.ts";

type What = "detail" | "turns" | "todos" | "queue" | "conversations" | "files" | "workspace";

function key(what: What, id: string, at: number | null): readonly unknown[] {
  return ["session", id, what, at];
}

/** Which documents an event makes old. */
const TOUCHES: Readonly<Partial<Record<EventType, readonly What[]>>> = {
  "session.prompt-accepted": ["queue"],
  "session.prompt-withdrawn": ["queue"],
  "session.prompt-edited": ["queue"],
  "session.turn-started": ["queue", "turns"],
  "session.turn-steered": ["queue", "turns"],
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

/** Return which documents an event makes old. */
function touched(event: LoggedEvent): readonly What[] {
  if (event.erased) return [];
  if (event.type === "session.part-recorded") return isTodoList(event.data.body) ? ["todos"] : [];
  return TOUCHES[event.type] ?? [];
}

function isTodoList(body: unknown): boolean {
  return typeof body === "object" && body !== null && (body as { tool?: unknown }).tool === "todowrite";
}

/** Keep the documents of a session fresh while it is followed. */
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

function asOf(at: number | null): { readonly at?: number } {
  return at === null ? {} : { at };
}

export function useDetail(id: string, at: number | null): UseQueryResult<SessionDetail> {
  return useQuery({
    queryKey: key("detail", id, at),
    queryFn: async () => {
      const params = { path: { session_id: id }, query: asOf(at) };
      return (await read<SessionDetail>(api.GET("/api/sessions/{session_id}", { params }))).body;
    },
    placeholderData: before => before,
  });
}

export function useTurnItems(id: string, at: number | null): UseQueryResult<readonly TurnItem[]> {
  return useQuery({
    queryKey: key("turns", id, at),
    queryFn: async () => {
      const params = { path: { session_id: id }, query: asOf(at) };
      return (await read<TurnItem[]>(api.GET("/api/sessions/{session_id}/turns", { params }))).body;
    },
    placeholderData: before => before,
  });
}

export function useTodos(id: string, at: number | null): UseQueryResult<readonly TodoItem[]> {
  return useQuery({
    queryKey: key("todos", id, at),
    queryFn: async () => {
      const params = { path: { session_id: id }, query: asOf(at) };
      return (await read<TodoItem[]>(api.GET("/api/sessions/{session_id}/todos", { params }))).body;
    },
    placeholderData: before => before,
  });
}

export function useQueue(id: string, at: number | null): UseQueryResult<readonly QueuedItem[]> {
  return useQuery({
    queryKey: key("queue", id, at),
    queryFn: async () => {
      const params = { path: { session_id: id }, query: { limit: 100, ...asOf(at) } };
      return (await read<QueuedItem[]>(api.GET("/api/sessions/{session_id}/queue", { params }))).body;
    },
    placeholderData: before => before,
  });
}

export function useConversations(id: string): UseQueryResult<readonly ConversationItem[]> {
  return useQuery({
    queryKey: key("conversations", id, null),
    queryFn: async () => {
      const params = { path: { session_id: id } };
      return (await read<ConversationItem[]>(api.GET("/api/sessions/{session_id}/conversations", { params }))).body;
    },
  });
}

/** A file or directory of the session, as it is now. */
export function useFile(id: string, path: string): UseQueryResult<FileItem> {
  return useQuery({
    queryKey: [...key("files", id, null), path],
    queryFn: async () => {
      if (path === "") {
        const params = { path: { session_id: id } };
        return (await read<FileItem>(api.GET("/api/sessions/{session_id}/files", { params }))).body;
      }
      const params = { path: { session_id: id, path } };
      return (await read<FileItem>(api.GET("/api/sessions/{session_id}/files/{path}", { params }))).body;
    },
  });
}

/** The session's workspace as it is now. */
export function useWorkspace(id: string, workspaceId: string): UseQueryResult<WorkspaceDetail> {
  return useQuery({
    queryKey: key("workspace", id, null),
    queryFn: async () => {
      const params = { path: { workspace_id: workspaceId } };
      return (await read<WorkspaceDetail>(api.GET("/api/workspaces/{workspace_id}", { params }))).body;
    },
  });
}

const OFFERS_FRESH_MS = 60_000;

/** What can be chosen for a prompt: what OpenCode offers for the repository, as it was last known. */
export function useOffered(directory: string): OfferItem | undefined {
  const { data } = useQuery({
    queryKey: ["offers", directory],
    staleTime: OFFERS_FRESH_MS,
    queryFn: async () => (await read<OfferItem>(api.GET("/api/offers", { params: { query: { directory } } }))).body,
  });
  return data;
}

/** Find files of the session by a part of their path. */
export function useFoundFiles(instanceId: string | null, sessionId: string, query: string | null): readonly string[] {
  const { data } = useQuery({
    queryKey: ["found", instanceId, sessionId, query],
    enabled: instanceId !== null && query !== null,
    placeholderData: before => before,
    queryFn: async () => {
      const params = {
        path: { instance_id: instanceId ?? "" },
        query: { session: sessionId, query: query ?? "", limit: 12 },
      };
      return (await read<string[]>(api.GET("/api/instances/{instance_id}/find/files", { params }))).body;
    },
  });
  return query === null ? [] : (data ?? []);
}
