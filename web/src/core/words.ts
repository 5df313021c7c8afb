/** The differences within a changed line: ranges of words, and the line in pieces with one style each. */

/** Beginning and end: offsets in a line. */
export type Range = readonly [from: number, to: number];
export type WordChanges = { readonly before: readonly Range[]; readonly after: readonly Range[] };

const LINE_CHARS_MAX = 1_000;
const WORDS_MAX = 160;
/** Lines with less than this share of common words count as different lines: marks would be noise. */
const ALIKE_MIN = 0.3;
const WORD = /[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu;

/** Return which words differ; null if the lines are too different, too long, or equal. */
export function wordChanges(before: string, after: string): WordChanges | null {
  if (before === after || before.length > LINE_CHARS_MAX || after.length > LINE_CHARS_MAX) return null;
  const old = before.match(WORD) ?? [];
  const now = after.match(WORD) ?? [];
  const start = commonStart(old, now);
  const end = commonEnd(old, now, start);
  const oldMiddle = old.slice(start, old.length - end);
  const nowMiddle = now.slice(start, now.length - end);
  if (oldMiddle.length > WORDS_MAX || nowMiddle.length > WORDS_MAX) return null;
  const kept = longestCommon(oldMiddle, nowMiddle);
  const keepsOld = [...Array(start).fill(true), ...kept.old, ...Array(end).fill(true)] as boolean[];
  const keepsNow = [...Array(start).fill(true), ...kept.now, ...Array(end).fill(true)] as boolean[];
  const common = weight(old, keepsOld);
  if (common < ALIKE_MIN * Math.max(weight(old), weight(now))) return null;
  return { before: rangesOf(old, keepsOld), after: rangesOf(now, keepsNow) };
}

function commonStart(old: readonly string[], now: readonly string[]): number {
  let count = 0;
  while (count < old.length && count < now.length && old[count] === now[count]) count += 1;
  return count;
}

function commonEnd(old: readonly string[], now: readonly string[], start: number): number {
  const most = Math.min(old.length, now.length) - start;
  let count = 0;
  while (count < most && old[old.length - 1 - count] === now[now.length - 1 - count]) count += 1;
  return count;
}

/** Return which words of either list belong to a longest common subsequence. */
function longestCommon(old: readonly string[], now: readonly string[]) {
  const width = now.length + 1;
  const lengths = new Uint16Array((old.length + 1) * width);
  const at = (row: number, column: number): number => lengths[row * width + column] ?? 0;
  for (let row = old.length - 1; row >= 0; row -= 1)
    for (let column = now.length - 1; column >= 0; column -= 1)
      lengths[row * width + column] =
        old[row] === now[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
  const kept = { old: Array<boolean>(old.length).fill(false), now: Array<boolean>(now.length).fill(false) };
  for (let row = 0, column = 0; row < old.length && column < now.length; ) {
    if (old[row] === now[column]) {
      kept.old[row] = kept.now[column] = true;
      row += 1;
      column += 1;
    } else if (at(row + 1, column) >= at(row, column + 1)) row += 1;
    else column += 1;
  }
  return kept;
}

/** Return the number of characters in the words, without blanks; only of the kept words if `kept` is given. */
function weight(words: readonly string[], kept?: readonly boolean[]): number {
  return words.reduce((sum, word, index) => sum + (kept?.[index] === false ? 0 : word.trim().length), 0);
}

/** Return the ranges of the words that are not kept; a single blank between two of them belongs to them. */
function rangesOf(words: readonly string[], kept: readonly boolean[]): readonly Range[] {
  const ranges: [number, number][] = [];
  let offset = 0;
  words.forEach((word, index) => {
    const isBridge = word === " " && kept[index - 1] === false && kept[index + 1] === false;
    if (!kept[index] || isBridge) {
      const last = ranges.at(-1);
      if (last && last[1] === offset) last[1] += word.length;
      else ranges.push([offset, offset + word.length]);
    }
    offset += word.length;
  });
  return ranges;
}

/** Characters that have one colour: how many, and the name of its class. */
export type Token = readonly [length: number, name: string];
export type Piece = { readonly text: string; readonly name: string; readonly isMarked: boolean };

/** Return a line in pieces, cut where its colour or its mark changes. */
export function piecesOf(line: string, tokens: readonly Token[], ranges: readonly Range[]): readonly Piece[] {
  const pieces: Piece[] = [];
  let offset = 0;
  const take = (end: number, name: string): void => {
    while (offset < end) {
      const range = ranges.find(([, to]) => to > offset);
      const isMarked = range !== undefined && range[0] <= offset;
      const stop = Math.min(end, range === undefined ? end : isMarked ? range[1] : range[0]);
      pieces.push({ text: line.slice(offset, stop), name, isMarked });
      offset = stop;
    }
  };
  for (const [length, name] of tokens) take(Math.min(line.length, offset + length), name);
  take(line.length, "");
  return pieces;
}
