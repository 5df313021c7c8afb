import { describe, expect, test } from "vitest";
import {
  type Connection,
  type ConnectionEvent,
  initial,
  PING_EVERY_MS,
  PONG_WITHIN_MS,
  step,
} from "../src/core/connection.ts";

/** Run a history of [at, event] and return the last state with all orders. */
function run(history: readonly (readonly [number, ConnectionEvent["type"] | ConnectionEvent])[]) {
  let state: Connection = initial(0);
  const orders: string[] = [];
  for (const [at, what] of history) {
    const event = typeof what === "string" ? ({ type: what } as ConnectionEvent) : what;
    const [next, more] = step(state, event, at, 0.5);
    state = next;
    orders.push(...more);
  }
  return { state, orders };
}

describe("a connection", () => {
  test("is live only when everything is caught up", () => {
    expect(run([[10, "opened"]]).state.phase).toBe("behind");
    expect(
      run([
        [10, "opened"],
        [20, "caught-up"],
      ]).state.phase,
    ).toBe("live");
  });

  test("that is open and silent is pinged, and dead without an answer", () => {
    const silent: [number, ConnectionEvent["type"]][] = [
      [0, "opened"],
      [1, "caught-up"],
      [PING_EVERY_MS, "tick"],
    ];
    expect(run(silent).orders).toEqual(["ping"]);
    const dead = run([...silent, [PING_EVERY_MS + PONG_WITHIN_MS + 1, "tick"]]);
    expect(dead.orders).toEqual(["ping", "close"]);
    expect(dead.state.phase).toBe("away");
  });

  test("that answers a ping lives on", () => {
    const { state } = run([
      [0, "opened"],
      [1, "caught-up"],
      [10_000, "tick"],
      [10_050, "heard"],
      [15_100, "tick"],
    ]);
    expect(state.phase).toBe("live");
    expect(state.pingMs).toBeNull();
  });

  test("is asked at once after the clock jumped", () => {
    expect(
      run([
        [0, "opened"],
        [1, "caught-up"],
        [1000, "tick"],
        [60_000, "tick"],
      ]).orders,
    ).toEqual(["ping"]);
  });

  test("comes back with growing pauses, and at once when the machine wakes", () => {
    const lost = run([
      [0, "opened"],
      [1, "caught-up"],
      [500, { type: "closed", code: 1006 }],
    ]);
    expect(lost.state.phase).toBe("away");
    expect(lost.state.retryMs).toBe(575);
    const [, orders] = step(lost.state, { type: "woke" }, 510, 0.5);
    expect(orders).toEqual(["close", "open"]);
  });

  test("whose token is not good waits for a login and tries no more", () => {
    const { state, orders } = run([
      [0, "opened"],
      [1, { type: "closed", code: 1008 }],
      [60_000, "tick"],
      [61_000, "woke"],
    ]);
    expect(state.phase).toBe("denied");
    expect(orders).toEqual([]);
  });

  test("shows how long the server has been away, whatever the number of attempts", () => {
    const { state } = run([
      [0, "opened"],
      [1, "caught-up"],
      [1000, { type: "closed", code: 1006 }],
      [2000, "tick"],
      [2001, { type: "closed", code: 1006 }],
      [4000, "tick"],
      [4001, { type: "closed", code: 1006 }],
    ]);
    expect(state.phase).toBe("away");
    expect(state.lostMs).toBe(1000);
  });
});
