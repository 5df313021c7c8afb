/** Compares two texts for the diff worker: texts in, lines and runs out. */
import { diffArrays } from "diff";
import type { LineDiff, Run, Side } from "./hunks.ts";

export type Text = {
  readonly lines: readonly string[];
  /** Whether the last line ends with a newline; true for an empty text. */
  readonly endsWell: boolean;
  /** Whether the bytes are not UTF-8; then they are read as Latin-1. */
  readonly isForeign: boolean;
};

export type Compared = LineDiff & {
  /** Whether comparing took too long: all lines of one side count as removed, all of the other as added. */
  readonly isWhole: boolean;
  readonly endsWell: Readonly<Record<Side, boolean>>;
  /** Whether all lines of a side end with CRLF; they keep the CR here. */
  readonly isCrlf: Readonly<Record<Side, boolean>>;
  readonly isForeign: boolean;
};

/** A longer comparison is cancelled, because the reader waits for it. */
export const COMPARE_MS = 500;
/** Compare two texts line by line. */
export function compare(before: Text, after: Text, ignoreBlanks: boolean): Compared {
  const [old, now] = numbered(before, after, ignoreBlanks);
  const runs = runsOf(old, now);
  return {
    before: before.lines,
    after: after.lines,
    runs: runs ?? [{ same: 0, del: old.length, add: now.length }],
    isWhole: runs === null,
    endsWell: { before: before.endsWell, after: after.endsWell },
    isCrlf: { before: isCrlf(before), after: isCrlf(after) },
    isForeign: before.isForeign || after.isForeign,
  };
}

function isCrlf({ lines, endsWell }: Text): boolean {
  const ended = endsWell ? lines : lines.slice(0, -1);
  return ended.length > 0 && ended.every(line => line.endsWith("\r"));
}

/** Return a number for each line, the same for lines that count as the same. */
function numbered(before: Text, after: Text, ignoreBlanks: boolean): readonly [number[], number[]] {
  const numbers = new Map<string, number>();
  const keysOf = ({ lines, endsWell }: Text): number[] =>
    lines.map((line, index) => {
      const isTorn = !endsWell && index === lines.length - 1;
      const key = ignoreBlanks ? line.replace(/\s+/g, "") : isTorn ? `${line}\n` : line;
      const number = numbers.get(key) ?? numbers.size;
      numbers.set(key, number);
      return number;
    });
  return [keysOf(before), keysOf(after)];
}

/** Return the runs, null if the comparison takes longer than `COMPARE_MS`. */
function runsOf(old: readonly number[], now: readonly number[]): readonly Run[] | null {
  // A line that only one side has cannot be common. Leaving such lines out makes the comparison of very different files fast.
  const oldSet = new Set(old);
  const nowSet = new Set(now);
  const keptOld = indexes(old, nowSet);
  const keptNow = indexes(now, oldSet);
  const parts = diffArrays(
    keptOld.map(index => old[index] ?? -1),
    keptNow.map(index => now[index] ?? -1),
    { timeout: COMPARE_MS },
  );
  if (parts === undefined) return null;
  const pairs: (readonly [number, number])[] = [];
  let oldAt = 0;
  let nowAt = 0;
  for (const part of parts) {
    for (let index = 0; !part.added && !part.removed && index < part.count; index += 1)
      pairs.push([keptOld[oldAt + index] ?? 0, keptNow[nowAt + index] ?? 0]);
    if (!part.added) oldAt += part.count;
    if (!part.removed) nowAt += part.count;
  }
  return joined(pairs, old.length, now.length);
}

function indexes(keys: readonly number[], within: ReadonlySet<number>): readonly number[] {
  return keys.flatMap((key, index) => (within.has(key) ? [index] : []));
}

/** Return the runs between the lines that both sides have. */
function joined(pairs: readonly (readonly [number, number])[], oldCount: number, nowCount: number): readonly Run[] {
  const runs: Run[] = [];
  let same = 0;
  let old = 0;
  let now = 0;
  for (const [oldAt, nowAt] of pairs) {
    if (oldAt > old || nowAt > now) {
      runs.push({ same, del: oldAt - old, add: nowAt - now });
      same = 0;
    }
    same += 1;
    old = oldAt + 1;
    now = nowAt + 1;
  }
  if (same > 0 || old < oldCount || now < nowCount) runs.push({ same, del: oldCount - old, add: nowCount - now });
  return runs;
}
