/** Whatever happens to a connection, nothing leaves it stuck. */
import { expect, test } from "vitest";
import { type Action, type Connection, type ConnectionEvent, initial, step } from "../src/core/connection.ts";
import { random as randomFrom } from "./random.ts";

const TICK_MS = 1_000;

/** A clock and the machine. */
class Machine {
  nowMs = 1_000_000;
  state: Connection = initial(this.nowMs);

  happen(event: ConnectionEvent): readonly Action[] {
    const [state, orders] = step(this.state, event, this.nowMs, 0.5);
    this.state = state;
    return orders;
  }

  tick(): readonly Action[] {
    this.nowMs += TICK_MS;
    return this.happen({ type: "tick" });
  }
}

test("whatever happened, it is live soon after the server is there again", () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const random = randomFrom(seed);
    const machine = new Machine();
    for (let index = 0; index < 60; index += 1) machine.happen(anything(random, machine));
    let isOpen = machine.state.phase === "behind" || machine.state.phase === "live";
    for (let second = 0; second < 40 && machine.state.phase !== "live"; second += 1) {
      const orders = machine.tick();
      if (orders.includes("close")) isOpen = false;
      if (orders.includes("open")) {
        machine.happen({ type: "opened" });
        isOpen = true;
      }
      if (isOpen) {
        machine.happen({ type: "heard" });
        machine.happen({ type: "caught-up" });
      }
    }
    expect(machine.state.phase, `seed ${seed}`).toBe("live");
  }
});

/** Something that can happen now, after some time. */
function anything(random: () => number, machine: Machine): ConnectionEvent {
  machine.nowMs += Math.floor(random() * 8_000);
  const { phase } = machine.state;
  const isOpen = phase === "behind" || phase === "live";
  const can: readonly ConnectionEvent[] = [
    { type: "tick" },
    { type: "tick" },
    { type: "woke" },
    ...(phase === "connecting" ? [{ type: "opened" } as const] : []),
    ...(isOpen ? ([{ type: "heard" }, { type: "caught-up" }, { type: "fell-behind" }] as const) : []),
    ...(phase === "away" ? [] : [{ type: "closed", code: 1006 } as const]),
  ];
  return can[Math.floor(random() * can.length)] ?? { type: "tick" };
}
