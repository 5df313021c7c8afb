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

/** Whether the server no longer has the session; false while the server cannot be asked. */
export async function isErased(id: string): Promise<boolean> {
  try {
    await readSession(id);
    return false;
  } catch (error) {
    return error instanceof Refused && (error.problem.status === 404 || error.problem.status === 410);
  }
}

type Options<Body> = {
  /** Read again at this interval in ms while the tab is visible; the interval may depend on the last result. */
  readonly everyMs?: number | ((read: Read<Body> | undefined) => number);
  readonly isOff?: boolean;
};

/** Read a page of a list, with the total; the last page stays visible until the next one has arrived. */
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

/** Read a document: only the body. */
export function useDocument<Body>(
  key: readonly unknown[],
  ask: () => Promise<Answered<Body>>,
  options: DocumentOptions<Body> = {},
): UseQueryResult<Body> {
  return useQuery({ queryKey: key, queryFn: async () => (await read(ask())).body, ...options });
}

type Act = {
  readonly isRunning: boolean;
  /** Send the command, then read the documents under `key` again. Resolves to the body; rejects with `Refused`. */
  readonly run: <Body = unknown>(method: Method, path: string, body?: unknown) => Promise<Body>;
};

/** A command that changes documents. */
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
