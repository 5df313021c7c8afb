/** The audit log. The server's document gives an event a type and any data; here each type has its own data type. */
import type { paths } from "../wire/api.ts";
import type { AuditEvent } from "../wire/events.ts";
import type { WhyStep } from "../wire/types.ts";
import { type Answered, api, type Read, read } from "./api.ts";

export type LogQuery = NonNullable<paths["/api/log"]["get"]["parameters"]["query"]>;

/** Ask for a page of the log. */
export function askLog(query: LogQuery): Promise<Answered<AuditEvent[]>> {
  return api.GET("/api/log", { params: { query } }) as Promise<Answered<AuditEvent[]>>;
}

/** Read why an event happened: the event first, then step by step back to the request that began it. */
export function askWhy(position: number): Promise<Answered<WhyStep[]>> {
  return api.GET("/api/log/{position}/why", { params: { path: { position } } });
}

/**
 * Search the log: the next page with a result, or the last page. The server searches a part of the log at a
 * time, and returns where the search continues (`goOn`). Rejects with `Refused`.
 */
export async function searchLog(query: LogQuery, signal: AbortSignal): Promise<Read<AuditEvent[]>> {
  let found = await read(askLog(query));
  while (found.body.length === 0 && found.goOn !== null && !signal.aborted) {
    const bound = query.order === "desc" ? { before: found.goOn } : { after: found.goOn };
    found = await read(askLog({ ...query, ...bound }));
  }
  return found;
}
