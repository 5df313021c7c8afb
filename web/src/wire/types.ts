/** Short names for the generated types, and the frames that a page writes. */
import type { ActivityItem, InFlightPart, OfferItem, SessionItem } from "./api.ts";

export type {
  BranchItem,
  ConversationItem,
  DiffItem,
  EndPreview,
  EventItem,
  HistoryItem,
  InboxItem,
  Info,
  InstanceItem,
  ModelBody,
  QueuedItem,
  SessionItem,
  TurnItem,
} from "./api.ts";
export type { AuditEvent, EventFrame, EventType, LoggedEvent, ServerFrame, Signal } from "./events.ts";
export type { OfferItem };

export type Status = SessionItem["status"];
export type Strategy = SessionItem["isolationStrategy"];
export type Activity = ActivityItem;
export type OpenPart = InFlightPart;

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
