/**
 * The connection to the server, as a pure machine: events and the time go in, the next state and actions come out.
 *
 * An open socket proves nothing: a laptop that slept, a proxy that died and a server that hangs all look open. So the page
 * pings every 10 s, waits 5 s for an answer, and takes a jump of the clock as a sign that it slept. `browser/socket.ts` carries
 * the actions out.
 */

/** What the page shows: `behind` is connected but not caught up; `denied` needs a login; `away` has no server. */
export type Phase = "connecting" | "behind" | "live" | "away" | "denied";

export type Connection = {
  readonly phase: Phase;
  /** Since when the phase holds, in ms. */
  readonly sinceMs: number;
  /** Since when there has been no connection, in ms; failed attempts do not change it. */
  readonly lostMs: number | null;
  /** When the last frame of the server arrived, in ms; 0 for never. */
  readonly heardMs: number;
  /** Failed attempts in a row. */
  readonly attempts: number;
  /** When the ping that is not answered was sent, in ms. */
  readonly pingMs: number | null;
  /** When the next attempt is due, in ms. */
  readonly retryMs: number | null;
  /** When the clock was last read, in ms. */
  readonly tickMs: number;
};

export type ConnectionEvent =
  | { readonly type: "opened" }
  | { readonly type: "heard" }
  | { readonly type: "caught-up" }
  | { readonly type: "fell-behind" }
  | { readonly type: "closed"; readonly code: number }
  | { readonly type: "denied" }
  | { readonly type: "tick" }
  | { readonly type: "woke" };

export type Action = "open" | "close" | "ping";

export const PING_EVERY_MS = 10_000;
export const PONG_WITHIN_MS = 5_000;
export const SLEPT_MS = 20_000;
export const OPEN_WITHIN_MS = 10_000;
/** An attempt that is younger is not repeated. */
const FRESH_MS = 2_000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;
/** WebSocket close code of a token that is not valid, or no longer valid. */
const POLICY_VIOLATION = 1008;

export function initial(nowMs: number): Connection {
  return {
    phase: "connecting",
    sinceMs: nowMs,
    lostMs: null,
    heardMs: 0,
    attempts: 0,
    pingMs: null,
    retryMs: null,
    tickMs: nowMs,
  };
}

/** Return the next state and the actions. `random` is in [0, 1). */
export function step(
  state: Connection,
  event: ConnectionEvent,
  nowMs: number,
  random: number,
): readonly [Connection, readonly Action[]] {
  switch (event.type) {
    case "opened":
      return [{ ...enter(state, "behind", nowMs), heardMs: nowMs, lostMs: null, pingMs: null, retryMs: null }, []];
    case "heard":
      return [{ ...state, heardMs: nowMs, pingMs: null }, []];
    case "caught-up":
      return [{ ...enter(state, "live", nowMs), attempts: 0 }, []];
    case "fell-behind":
      return [state.phase === "live" ? enter(state, "behind", nowMs) : state, []];
    case "denied":
      return [{ ...enter(state, "denied", nowMs), retryMs: null, pingMs: null }, ["close"]];
    case "closed":
      if (event.code === POLICY_VIOLATION)
        return [{ ...enter(state, "denied", nowMs), retryMs: null, pingMs: null }, []];
      return [lost(state, nowMs, random), []];
    case "woke":
      return woke(state, nowMs);
    case "tick":
      return tick(state, nowMs, random);
  }
}

function tick(state: Connection, nowMs: number, random: number): readonly [Connection, readonly Action[]] {
  const slept = nowMs - state.tickMs > SLEPT_MS;
  const ticked = { ...state, tickMs: nowMs };
  if (state.phase === "denied") return [ticked, []];
  if (slept) return woke(ticked, nowMs);
  if (state.phase === "away") {
    const due = state.retryMs === null || nowMs >= state.retryMs;
    return due ? [{ ...enter(ticked, "connecting", nowMs), retryMs: null }, ["open"]] : [ticked, []];
  }
  if (state.phase === "connecting") {
    return nowMs - state.sinceMs > OPEN_WITHIN_MS ? [lost(ticked, nowMs, random), ["close"]] : [ticked, []];
  }
  if (state.pingMs !== null) {
    return nowMs - state.pingMs > PONG_WITHIN_MS ? [lost(ticked, nowMs, random), ["close"]] : [ticked, []];
  }
  return nowMs - state.heardMs >= PING_EVERY_MS ? [{ ...ticked, pingMs: nowMs }, ["ping"]] : [ticked, []];
}

/** The page may have slept: ask at once, or connect at once. */
function woke(state: Connection, nowMs: number): readonly [Connection, readonly Action[]] {
  const awake = { ...state, tickMs: nowMs };
  if (state.phase === "denied") return [awake, []];
  if (state.phase === "connecting" && nowMs - state.sinceMs < FRESH_MS) return [awake, []];
  if (state.phase === "away" || state.phase === "connecting") {
    return [{ ...enter(awake, "connecting", nowMs), sinceMs: nowMs, retryMs: null, attempts: 0 }, ["close", "open"]];
  }
  return state.pingMs === null ? [{ ...awake, pingMs: nowMs }, ["ping"]] : [awake, []];
}

function lost(state: Connection, nowMs: number, random: number): Connection {
  if (state.phase === "denied") return state;
  const wait = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** state.attempts);
  return {
    ...enter(state, "away", nowMs),
    lostMs: state.lostMs ?? nowMs,
    attempts: state.attempts + 1,
    pingMs: null,
    retryMs: nowMs + wait * (0.5 + random / 2),
  };
}

function enter(state: Connection, phase: Phase, nowMs: number): Connection {
  return { ...state, phase, sinceMs: state.phase === phase ? state.sinceMs : nowMs };
}
