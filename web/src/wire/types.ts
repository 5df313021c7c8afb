/** Short names for the generated types, and the frames that a page reads and writes. */
import type { components } from "./api.ts";

type Schemas = components["schemas"];

export type SessionItem = Schemas["SessionItem"];
export type Status = SessionItem["status"];
export type Strategy = SessionItem["isolationStrategy"];
export type Activity = Schemas["ActivityItem"];
export type InboxItem = Schemas["InboxItem"];
export type TurnItem = Schemas["TurnItem"];
export type ConversationItem = Schemas["ConversationItem"];
export type QueuedItem = Schemas["QueuedItem"];
export type DiffItem = Schemas["DiffItem"];
export type HistoryItem = Schemas["HistoryItem"];
export type EventItem = Schemas["EventItem"];
export type InstanceItem = Schemas["InstanceItem"];
export type BranchItem = Schemas["BranchItem"];
export type OfferItem = Schemas["OfferItem"];
export type EndPreview = Schemas["EndPreview"];
export type Info = Schemas["Info"];
export type ModelBody = Schemas["ModelBody"];

/** A problem document (RFC 9457): what the server refuses with. */
export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly field?: string;
  readonly hint?: string;
} & Readonly<Record<string, unknown>>;

/** A logged event as streams have it; `data` is the payload of the log, in snake_case. */
export type EventFrame = {
  readonly position: number;
  readonly stream: string;
  readonly version: number;
  readonly type: string;
  readonly at: string;
  readonly actor: string;
  readonly data: Readonly<Record<string, unknown>>;
};

export type OpenPart = Schemas["InFlightPart"];

export type Signal =
  | ({ readonly type: "delta" } & Schemas["Delta"])
  | ({ readonly type: "part" } & Schemas["PartChanged"])
  | ({ readonly type: "status" } & Schemas["StatusChanged"]);

export type ServerFrame =
  | { readonly type: "items"; id: string; position: number; sessions: SessionItem[]; more: boolean; reset: boolean }
  | { readonly type: "item"; id: string; position: number; session: SessionItem }
  | { readonly type: "gone"; id: string; position: number; sessionId: string }
  | { readonly type: "inbox"; id: string; position: number; items: InboxItem[] }
  | { readonly type: "event"; id: string; position: number; event: EventFrame }
  | { readonly type: "signal"; id: string; signal: Signal }
  | { readonly type: "snapshot"; id: string; snapshot: Schemas["Snapshot"] }
  | { readonly type: "live"; id: string; position: number }
  | { readonly type: "lagging"; id: string; after: number }
  | { readonly type: "reply"; id: string; status: number; position?: number; total?: number; body?: unknown }
  | { readonly type: "error"; id?: string; status: number; code: string; problem: Problem; retryAfterS?: number };

export type Method = "POST" | "PUT" | "PATCH" | "DELETE";

export type ClientFrame =
  | { readonly type: "subscribe"; id: string; view: "fleet"; after?: number }
  | { readonly type: "subscribe"; id: string; view: "inbox" }
  | {
      readonly type: "subscribe";
      id: string;
      sessions: readonly string[] | "*";
      after?: number;
      signals?: "all" | "none";
    }
  | { readonly type: "unsubscribe"; id: string }
  | { readonly type: "ping"; id: string }
  | { readonly type: "command"; id: string; method: Method; path: string; body?: unknown; idempotencyKey?: string };
