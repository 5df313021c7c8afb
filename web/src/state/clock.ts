/** The one clock of the page: ages use it, so that no row has its own timer. It pauses in a hidden tab. */
import { Cell, useCell } from "./store.ts";

const TICK_MS = 1_000;

export const clock = new Cell(Date.now());

let timer: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  clock.set(Date.now());
}

function follow(): void {
  clearInterval(timer);
  timer = undefined;
  if (document.visibilityState === "hidden") return;
  tick();
  timer = setInterval(tick, TICK_MS);
}

export function startClock(): void {
  document.addEventListener("visibilitychange", follow);
  follow();
}

/** The time in ms; renders once a second. */
export function useNow(): number {
  return useCell(clock);
}
