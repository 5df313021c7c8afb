/** Reads of documents with TanStack Query: what does not come over the live connection. */
import {
  keepPreviousData,
  type UseQueryOptions,
  type UseQueryResult,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { useState } from "react";
import type { SessionDetail } from "../wire/api.ts";
import type { Method } from "../wire/types.ts";
import { type Answered, api, type Read, read } from "./api.ts";
import { Refused } from "./commands.ts";
import { useCommand } from "./context.tsx";

/** Read a session as it is now. Rejects with `Refused`. */
export async function readSession(id: string): Promise<SessionDetail> {
  const params = { path: { session_id: id } };
  return (await read<SessionDetail>(api.GET("/api/sessions/{session_id}", { params }))).body;
}

/** Whether the server holds nothing of a session any more. While it cannot be asked, no. */
export async function isErased(id: string): Promise<boolean> {
  try {
    await readSession(id);
    return false;
  } catch (error) {
    return error instanceof Refused && (error.problem.status === 404 || error.problem.status === 410);
  }
}

type Options<Body> = {
  /** Read again every so many milliseconds while the tab is in sight; it may depend on what was read. */
  readonly everyMs?: number | ((read: Read<Body> | undefined) => number);
  readonly isOff?: boolean;
};

/** Read a page of a list, with how many there are in all; the last page stays until the next one is there. */
export function useRead<Body>(
  key: readonly unknown[],
  ask: () => Promise<Answered<Body>>,
  options: Options<Body> = {},
): UseQueryResult<Read<Body>> {
  const { everyMs } = options;
  return useQuery<Read<Body>>({
    queryKey: key,
    queryFn: () => read(ask()),
    placeholderData: keepPreviousData,
    enabled: !options.isOff,
    ...(everyMs === undefined
      ? {}
      : { refetchInterval: typeof everyMs === "number" ? everyMs : query => everyMs(query.state.data) }),
  });
}

type DocumentOptions<Body> = Pick<UseQueryOptions<Body>, "enabled" | "placeholderData" | "retry" | "staleTime">;

/** Read a document: the body alone. */
export function useDocument<Body>(
  key: readonly unknown[],
  ask: () => Promise<Answered<Body>>,
  options: DocumentOptions<Body> = {},
): UseQueryResult<Body> {
  return useQuery({ queryKey: key, queryFn: async () => (await read(ask())).body, ...options });
}

type Act = {
  readonly isRunning: boolean;
  /** Send the command, then read again what begins with `key`. Resolves to the body; rejects with `Refused`. */
  readonly run: <Body = unknown>(method: Method, path: string, body?: unknown) => Promise<Body>;
};

/** A command whose result shows in documents. */
export function useAct(key: readonly unknown[]): Act {
  const [isRunning, setRunning] = useState(false);
  const command = useCommand();
  const queries = useQueryClient();
  return {
    isRunning,
    run: async <Body>(method: Method, path: string, body?: unknown) => {
      setRunning(true);
      try {
        return (await command<Body>(method, path, body)).body;
      } finally {
        setRunning(false);
        await queries.invalidateQueries({ queryKey: key });
      }
    },
  };
}
