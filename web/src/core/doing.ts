/** The current activity of a session, or its last line, as text for one row. */
import type { SessionItem } from "../wire/types.ts";
import { oneLine } from "./text.ts";

export type Doing = {
  /** What kind of line it is: `ask` waits for a person, `trouble` went wrong, `prompt` is what a person wrote. */
  readonly kind: "ask" | "trouble" | "tool" | "thought" | "prompt" | "text" | "none";
  /** The text before it: a tool's name, or who speaks. */
  readonly lead: string;
  readonly text: string;
};

/** Return the line of a session: what needs a person before what it does, and that before what it said. */
export function doingOf(item: SessionItem): Doing {
  const { activity, failure } = item;
  if (activity?.kind === "request" && item.openRequests > 0) {
    return { kind: "ask", lead: activity.tool ?? "", text: oneLine(activity.text) };
  }
  if (item.openRequests > 0) return { kind: "ask", lead: "", text: "waits for your answer" };
  if (failure !== null && (item.status === "error" || item.status === "disconnected")) {
    return { kind: "trouble", lead: "", text: oneLine(failure.detail || failure.code) };
  }
  if (item.status === "disconnected") return { kind: "trouble", lead: "", text: oneLine(item.evidence) };
  if (item.queuePaused !== null && item.queued > 0) {
    return { kind: "trouble", lead: "paused", text: oneLine(item.queuePaused) };
  }
  if (activity === null)
    return { kind: "none", lead: "", text: item.status === "created" ? oneLine(item.evidence) : "" };
  return { ...NAMED[activity.kind], text: oneLine(activity.text), ...(activity.tool ? { lead: activity.tool } : {}) };
}

const NAMED = {
  text: { kind: "text", lead: "" },
  reasoning: { kind: "thought", lead: "thinks" },
  tool: { kind: "tool", lead: "tool" },
  request: { kind: "text", lead: "" },
  prompt: { kind: "prompt", lead: "you" },
} as const;

/** For how long a tool has been running, in ms; null if none runs, or it has just started. */
export function toolMs({ status, activity }: SessionItem, nowMs: number): number | null {
  if (status !== "active" || activity?.kind !== "tool") return null;
  const ms = nowMs - Date.parse(activity.at);
  return ms >= MOMENT_MS ? ms : null;
}

const MOMENT_MS = 10_000;

/** Return how much of which budget is used: the one with the least left. */
export function budgetOf(item: SessionItem): { readonly used: number; readonly words: string } | null {
  const { budget } = item;
  if (budget === null) return null;
  const tokens = item.tokens.input + item.tokens.output + item.tokens.reasoning;
  const parts = [
    part(item.costUsd, budget.usd, limit => `$${limit}`),
    part(tokens, budget.tokens, limit => `${limit.toLocaleString("en-US")} tokens`),
    part(item.runningMs / 60_000, budget.minutes, limit => `${limit} min`),
  ].filter(each => each !== null);
  return parts.sort((one, other) => other.used - one.used)[0] ?? null;
}

function part(
  used: number,
  limit: number | null | undefined,
  words: (limit: number) => string,
): { readonly used: number; readonly words: string } | null {
  if (limit === null || limit === undefined) return null;
  return {
    used: limit === 0 ? 1 : used / limit,
    words: `${Math.round((100 * used) / (limit || 1))} % of ${words(limit)}`,
  };
}
