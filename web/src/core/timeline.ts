/** The scale of the time bar: every turn gets the same width, and inside of one positions are spread evenly. */
import type { TurnItem } from "../wire/types.ts";

export type Tick = { readonly position: number; readonly label: string };

/** Return the ticks from the session's first event to the end of the log, each position once, ascending. */
export function ticksOf(begin: number, end: number, turns: readonly TurnItem[]): readonly Tick[] {
  const ticks = new Map<number, string>([[begin, "created"]]);
  for (const turn of turns) {
    ticks.set(turn.position, `turn ${turn.number} begins`);
    if (turn.endPosition !== null) ticks.set(turn.endPosition, `turn ${turn.number} ends`);
  }
  if (!ticks.has(end)) ticks.set(end, "now");
  return [...ticks.entries()]
    .filter(([position]) => position >= begin && position <= end)
    .sort(([one], [other]) => one - other)
    .map(([position, label]) => ({ position, label }));
}

/** Return the place of a position on the bar, from 0 to 1. */
export function placeOf(position: number, ticks: readonly Tick[]): number {
  const last = ticks.length - 1;
  if (last <= 0) return 1;
  for (let index = 0; index < last; index += 1) {
    const from = ticks[index]?.position ?? 0;
    const to = ticks[index + 1]?.position ?? from;
    if (position < to || index === last - 1) {
      const inside = to === from ? 0 : (position - from) / (to - from);
      return (index + Math.min(1, Math.max(0, inside))) / last;
    }
  }
  return 1;
}

/** Return the position at a place of the bar. */
export function positionAt(place: number, ticks: readonly Tick[]): number {
  const last = ticks.length - 1;
  if (last <= 0) return ticks[0]?.position ?? 0;
  const scaled = Math.min(1, Math.max(0, place)) * last;
  const index = Math.min(last - 1, Math.floor(scaled));
  const from = ticks[index]?.position ?? 0;
  const to = ticks[index + 1]?.position ?? from;
  return Math.round(from + (scaled - index) * (to - from));
}
