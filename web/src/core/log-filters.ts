/** The filters of the log, as they are typed: which ones the server accepts, and what is wrong with the others. */
import { EVENT_TYPES } from "../wire/events.ts";

const KNOWN: ReadonlySet<string> = new Set(EVENT_TYPES);
const SESSION = /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|ses_[0-9A-Za-z]{10,64})$/i;

/** Return what is wrong with the text for a session; null if the server can search for it. */
export function sessionFault(typed: string): string | null {
  return SESSION.test(typed) ? null : "Choose a session, or paste a whole id.";
}

/** Return what is wrong with types of events, separated by commas; null if all are known. */
export function typeFault(typed: string): string | null {
  const unknown = typed.split(",").filter(each => !KNOWN.has(each));
  return unknown.length === 0
    ? null
    : `No type of event: ${unknown.filter(Boolean).join(", ") || "a word is missing"}.`;
}
