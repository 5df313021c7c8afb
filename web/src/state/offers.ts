/** What OpenCode offers for a directory: agents, models, commands. */
import type { OfferItem } from "../wire/types.ts";
import { api } from "./api.ts";
import { useDocument } from "./queries.ts";

const FRESH_MS = 60_000;

/** Return what can be chosen for a prompt, as it was last known. */
export function useOffered(directory: string): OfferItem | undefined {
  const ask = () => api.GET("/api/offers", { params: { query: { directory } } });
  return useDocument(["offers", directory], ask, { staleTime: FRESH_MS, enabled: directory.startsWith("/") }).data;
}
