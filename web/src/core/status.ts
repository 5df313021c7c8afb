/** The name, shape, colour and place in the list of each status. One table for the whole page. */
import type { SessionItem, Status } from "../wire/types.ts";

export type Tone = "working" | "needs" | "idle" | "done" | "error" | "away" | "starting";
export type Group = "needs" | "working" | "idle" | "ended";

type Look = { readonly word: string; readonly shape: string; readonly tone: Tone; readonly group: Group };

const LOOKS: Readonly<Record<Status, Look>> = {
  created: { word: "starting", shape: "◌", tone: "starting", group: "working" },
  active: { word: "working", shape: "◉", tone: "working", group: "working" },
  waiting_input: { word: "needs you", shape: "◐", tone: "needs", group: "needs" },
  idle: { word: "idle", shape: "○", tone: "idle", group: "idle" },
  completed: { word: "completed", shape: "✓", tone: "done", group: "ended" },
  stopped: { word: "stopped", shape: "■", tone: "done", group: "ended" },
  disconnected: { word: "disconnected", shape: "⊘", tone: "away", group: "needs" },
  error: { word: "error", shape: "✕", tone: "error", group: "needs" },
};

export const STATUSES = Object.keys(LOOKS) as readonly Status[];

/** Return how a status looks. An unknown one is shown as received: the server may be newer. */
export function lookOf(status: string): Look {
  return LOOKS[status as Status] ?? { word: status, shape: "?", tone: "away", group: "idle" };
}

/** Whether a person has to do something before the session continues. */
export function needsYou(item: SessionItem): boolean {
  return (
    lookOf(item.status).group === "needs" || item.openRequests > 0 || (item.queuePaused !== null && item.queued > 0)
  );
}

/** Return the group of the session. */
export function groupOf(item: SessionItem): Group {
  return needsYou(item) ? "needs" : lookOf(item.status).group;
}

/** Return a short name of the isolation strategy. */
export function strategyWord(strategy: SessionItem["isolationStrategy"]): string {
  return strategy === "existing" ? "in place" : strategy;
}

export const GROUPS: readonly { readonly key: Group; readonly title: string }[] = [
  { key: "needs", title: "Needs you" },
  { key: "working", title: "Working" },
  { key: "idle", title: "Idle" },
  { key: "ended", title: "Ended" },
];

/** Whether a turn is running: it can be aborted, and prompts can be sent into it. A set-up that waits is no turn. */
export function isInTurn({ status, setup }: Pick<SessionItem, "status" | "setup">): boolean {
  return status === "active" || (status === "waiting_input" && setup?.status !== "held");
}

/** Whether the session has a process of OpenCode that can be asked. */
export function hasProcess(item: Pick<SessionItem, "status" | "setup">): boolean {
  return isInTurn(item) || item.status === "idle";
}

/** Whether the session has ended and can be resumed. */
export function hasEnded(status: Status): boolean {
  return status === "completed" || status === "stopped" || status === "disconnected";
}
