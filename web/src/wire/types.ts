/** Short names for the generated types, and what a problem is. */
import type { ActivityItem, CommandFrame, InFlightPart, OfferItem, SessionItem } from "./api.ts";

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
  SetupDetail,
  SetupItem,
  TurnItem,
  WhyStep,
} from "./api.ts";
export type { AuditEvent, ClientFrame, EventFrame, EventType, LoggedEvent, ServerFrame, Signal } from "./events.ts";
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

export type Method = CommandFrame["method"];
