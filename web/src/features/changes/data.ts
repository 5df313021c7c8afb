/** The data of the Diffs tab: the list of files, and the contents of a file when it is opened. */
import { type QueryClient, queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { compareContents, type Sides } from "../../browser/diffing.ts";
import type { Compared } from "../../core/line-diff.ts";
import { api, read, readBytes } from "../../state/api.ts";
import { useSession } from "../../state/context.tsx";
import type { DiffItem } from "../../wire/types.ts";

/** What is compared: all turns or one, now or as of a log position. */
export type Scope = { readonly id: string; readonly turn: string | null; readonly at: number | null };

export type DiffList = {
  readonly files: readonly DiffItem[];
  /** Equal for equal diffs. */
  readonly version: string;
};

/** The state of a file as a text; it differs if any shown part does. */
export function signatureOf(item: DiffItem): string {
  return [item.beforeDigest, item.afterDigest, item.modeBefore, item.modeAfter, item.oldFile].join(" ");
}

async function readList({ id, turn, at }: Scope): Promise<DiffList> {
  const query = { contents: false, ...(turn === null ? {} : { turn }), ...(at === null ? {} : { at }) };
  const asked = api.GET("/api/sessions/{session_id}/diffs", { params: { path: { session_id: id }, query } });
  const { body } = await read<readonly DiffItem[]>(asked);
  return { files: body, version: body.map(item => `${item.file} ${signatureOf(item)}`).join("\n") };
}

const NEWS_EVERY_MS = 3_000;

/** Ask for the list again when the session did something, but not more often than every 3 s. */
function useNews(scope: Scope, refetch: () => unknown): void {
  const item = useSession(scope.id);
  const sign = JSON.stringify([item?.changes, item?.lastTurn?.number, item?.status, item?.activity?.at]);
  const seen = useRef({ sign, atMs: 0 });
  useEffect(() => {
    if (scope.at !== null || seen.current.sign === sign) return;
    const wait = Math.max(0, NEWS_EVERY_MS - (Date.now() - seen.current.atMs));
    const timer = setTimeout(() => {
      seen.current = { sign, atMs: Date.now() };
      refetch();
    }, wait);
    return () => clearTimeout(timer);
  }, [sign, scope.at, refetch]);
}

export type Listed = {
  readonly list: DiffList | null;
  readonly error: unknown;
  readonly retry: () => void;
  /** How many files have changed since the list was shown. */
  readonly newer: number;
  /** Show the current list. */
  readonly showNewer: () => void;
};

/** Return the list from when the reader opened it; later changes are shown on request. */
export function useList(scope: Scope): Listed {
  const key = JSON.stringify([scope.id, scope.turn, scope.at]);
  const asked = useQuery({
    queryKey: ["diffs", scope.id, scope.turn, scope.at],
    queryFn: () => readList(scope),
    staleTime: 0,
    structuralSharing: false,
  });
  useNews(scope, asked.refetch);
  const [shown, show] = useState<{ readonly key: string; readonly list: DiffList } | null>(null);
  const newest = asked.data ?? null;
  const current = shown?.key === key ? shown.list : null;
  const isFirst = newest !== null && (current === null || current.files.length === 0);
  if (newest && isFirst && current !== newest) show({ key, list: newest });
  const list = isFirst ? newest : current;
  return {
    list,
    error: list === null ? asked.error : null,
    retry: () => void asked.refetch(),
    newer: list && newest && list.version !== newest.version ? differing(list, newest) : 0,
    // the current state, not the one of the last render; without a server, the last known one
    showNewer: () => void asked.refetch().then(({ data = newest }) => data && show({ key, list: data })),
  };
}

/** Return how many files differ between two lists. */
export function differing(one: DiffList, other: DiffList): number {
  const signs = new Map(one.files.map(item => [item.file, signatureOf(item)]));
  let count = 0;
  for (const item of other.files) {
    if (signs.get(item.file) !== signatureOf(item)) count += 1;
    signs.delete(item.file);
  }
  return count + signs.size;
}

/** Contents that are not shown are discarded after a minute: a diff may have many megabytes. */
const HELD_MS = 60_000;

export function contentOptions(id: string, digest: string) {
  return queryOptions({
    queryKey: ["blob", id, digest],
    queryFn: () => readBytes(`/api/sessions/${encodeURIComponent(id)}/blobs/${encodeURIComponent(digest)}`),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: HELD_MS,
    structuralSharing: false,
  });
}

/** Return both contents of a file. Rejects with `Refused`. */
export async function readSides(queries: QueryClient, id: string, item: DiffItem): Promise<Sides> {
  const side = (digest: string | null) => (digest === null ? null : queries.fetchQuery(contentOptions(id, digest)));
  const [before, after] = await Promise.all([side(item.beforeDigest), side(item.afterDigest)]);
  return { before, after, isCut: item.isTruncated };
}

export function comparedOptions(queries: QueryClient, id: string, item: DiffItem, ignoreBlanks: boolean) {
  return queryOptions({
    queryKey: ["compared", id, item.beforeDigest, item.afterDigest, item.isTruncated, ignoreBlanks],
    queryFn: async (): Promise<Compared> => compareContents(await readSides(queries, id, item), ignoreBlanks),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: HELD_MS,
    structuralSharing: false,
  });
}

/** Whether a file has lines that can be compared. */
export function hasLines(item: DiffItem): boolean {
  return !item.isBinary && item.beforeDigest !== item.afterDigest;
}

/** Compare a file's sides, and load the next file in advance. */
export function useCompared(id: string, item: DiffItem, next: DiffItem | undefined, ignoreBlanks: boolean) {
  const queries = useQueryClient();
  const compared = useQuery({ ...comparedOptions(queries, id, item, ignoreBlanks), enabled: hasLines(item) });
  const isDone = compared.isSuccess || !hasLines(item);
  useEffect(() => {
    if (isDone && next && hasLines(next)) void queries.prefetchQuery(comparedOptions(queries, id, next, ignoreBlanks));
  }, [queries, id, next, ignoreBlanks, isDone]);
  return compared;
}
