/** Fuzzy search by a few letters: every word must be found, as a whole or as letters in order. */

export type Match = {
  /** A higher score is a better match. It has no unit and serves for comparing only. */
  readonly score: number;
  /** The ranges of the text that match, as [from, to), in order, without overlap. */
  readonly marks: readonly (readonly [number, number])[];
};

const AT_WORD = 60;
const INSIDE = 35;
const SCATTERED = 10;

/** Return how well a text matches, null if it does not. An empty query matches every text equally. */
export function fuzzy(query: string, text: string): Match | null {
  const lower = text.toLowerCase();
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return { score: 0, marks: [] };
  let score = 0;
  const marks: (readonly [number, number])[] = [];
  for (const word of words) {
    const hit = inOnePiece(word, lower) ?? scattered(word, lower);
    if (hit === null) return null;
    score += hit.score;
    marks.push(...hit.marks);
  }
  // Of two equal matches, the shorter text is the better one.
  return { score: score - Math.min(text.length, 200) / 40, marks: joined(marks) };
}

function inOnePiece(word: string, text: string): Match | null {
  let best = -1;
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (startsWord(text, at)) return hitAt(at, word.length, AT_WORD + (at === 0 ? 10 : 0));
    if (best < 0) best = at;
  }
  return best < 0 ? null : hitAt(best, word.length, INSIDE);
}

function hitAt(at: number, length: number, score: number): Match {
  return { score: score + length, marks: [[at, at + length]] };
}

function startsWord(text: string, at: number): boolean {
  return at === 0 || !/[\p{L}\p{N}]/u.test(text[at - 1] ?? "");
}

/** Find the letters in order; letters that begin words or follow each other are worth more. */
function scattered(word: string, text: string): Match | null {
  const marks: [number, number][] = [];
  let score = SCATTERED;
  let at = 0;
  for (const letter of word) {
    const found = text.indexOf(letter, at);
    if (found < 0) return null;
    score += startsWord(text, found) ? 4 : found === at && at > 0 ? 2 : -Math.min(2, (found - at) / 8);
    marks.push([found, found + letter.length]);
    at = found + letter.length;
  }
  return score <= 0 ? null : { score, marks };
}

function joined(marks: readonly (readonly [number, number])[]): readonly (readonly [number, number])[] {
  const all: [number, number][] = [];
  for (const [from, to] of [...marks].sort((one, other) => one[0] - other[0])) {
    const last = all.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else all.push([from, to]);
  }
  return all;
}
