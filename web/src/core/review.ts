/**
 * Comments on lines of a diff, for the agent. A comment is stored with the text of its lines, not with their numbers.
 *
 * A comment knows the text that it is about and up to two lines above and below. If that text is found again, the
 * comment moves with it; if not, the comment is stale and says so. If the text is there more than once, a
 * neighbouring line has to match, so that a comment never jumps to another `}`.
 */
import type { Side } from "./hunks.ts";

export type Comment = {
  readonly id: string;
  readonly file: string;
  readonly side: Side;
  /** The first and last line when it was written, from 1. */
  readonly from: number;
  readonly to: number;
  readonly quote: readonly string[];
  readonly above: readonly string[];
  readonly below: readonly string[];
  /** What it says; empty as long as it was never saved. */
  readonly text: string;
  /** The text that is being written, null if none is. It is saved with each key, so that a reload loses nothing. */
  readonly draft: string | null;
  readonly atMs: number;
  readonly state: "open" | "resolved" | "sent";
  readonly sentMs: number | null;
};

export const COMMENTS_MAX = 200;
export const COMMENT_CHARS_MAX = 8_000;
export const QUOTE_LINES_MAX = 60;
const QUOTE_LINE_CHARS_MAX = 500;
const AROUND_LINES = 2;
/** A shorter text does not identify its place. */
const TELLING_CHARS = 4;

export type Anchor = Pick<Comment, "side" | "from" | "to" | "quote" | "above" | "below">;
export type Found = { readonly from: number; readonly to: number };

/** Return what a comment on these lines has to remember. `lines` are all of its side. */
export function anchorAt(lines: readonly string[], side: Side, from: number, to: number): Anchor {
  const last = Math.min(to, from + QUOTE_LINES_MAX - 1, lines.length);
  const part = (begin: number, end: number): readonly string[] => lines.slice(Math.max(0, begin), end).map(cut);
  return {
    side,
    from,
    to: last,
    quote: part(from - 1, last),
    above: part(from - 1 - AROUND_LINES, from - 1),
    below: part(last, last + AROUND_LINES),
  };
}

function cut(line: string): string {
  return line.length <= QUOTE_LINE_CHARS_MAX ? line : line.slice(0, QUOTE_LINE_CHARS_MAX);
}

/** Return the current place of the text of a comment; null if it is not found, or is ambiguous. */
export function findAnchor(anchor: Anchor, lines: readonly string[]): Found | null {
  const first = anchor.quote[0];
  if (first === undefined) return null;
  if (isIntact(anchor, lines)) return { from: anchor.from, to: anchor.to };
  const places: number[] = [];
  for (let at = 0; at + anchor.quote.length <= lines.length; at += 1)
    if (isAt(anchor.quote, lines, at)) places.push(at);
  const isTelling = anchor.quote.join("").replace(/\s/g, "").length >= TELLING_CHARS;
  const scored = places.map(at => ({ at, score: score(anchor, lines, at), off: Math.abs(at + 1 - anchor.from) }));
  const [best, second] = scored.sort((one, other) => other.score - one.score || one.off - other.off);
  if (best === undefined) return null;
  const needsNeighbour = (second !== undefined || !isTelling) && anchor.above.length + anchor.below.length > 0;
  if (needsNeighbour && best.score < 1) return null;
  if (second !== undefined && second.score === best.score && best.off > 0) return null;
  return { from: best.at + 1, to: best.at + anchor.quote.length };
}

/** Whether the lines of the comment and the lines next to them are unchanged, at the same place. */
function isIntact({ from, above, quote, below }: Anchor, lines: readonly string[]): boolean {
  const begin = from - 1 - above.length;
  return begin >= 0 && isAt([...above, ...quote, ...below], lines, begin);
}

function isAt(texts: readonly string[], lines: readonly string[], at: number): boolean {
  return texts.every((text, index) => {
    const line = lines[at + index];
    return line !== undefined && (line === text || (line.length > text.length && cut(line) === text));
  });
}

/** Return a score for unchanged neighbours; direct neighbours count double, blank ones little. */
function score(anchor: Anchor, lines: readonly string[], at: number): number {
  const worth = (text: string | undefined, index: number, distance: number): number => {
    if (text === undefined || lines[index] === undefined || cut(lines[index]) !== text) return 0;
    return text.trim() === "" ? 0.25 : 3 - distance;
  };
  let sum = 0;
  for (let distance = 1; distance <= AROUND_LINES; distance += 1) {
    sum += worth(anchor.above.at(-distance), at - distance, distance);
    sum += worth(anchor.below[distance - 1], at + anchor.quote.length - 1 + distance, distance);
  }
  return sum;
}

/** Return the comments that go to the agent with the next review. */
export function unsent(comments: readonly Comment[]): readonly Comment[] {
  return comments.filter(comment => comment.state === "open" && comment.text !== "");
}

/** Return `src/a.py:12` or `src/a.py:12-14`, with a word for removed lines. */
export function placeName(comment: Comment, found: Found | null): string {
  const { from, to } = found ?? comment;
  const lines = from === to ? `${from}` : `${from}-${to}`;
  return `${comment.file}:${lines}${comment.side === "before" ? " (before the change)" : ""}`;
}

export type Placed = { readonly comment: Comment; readonly found: Found | null };

/** Return the prompt that tells the agent of the comments, in Markdown. */
export function promptOf(placed: readonly Placed[], opening: string): string {
  const head = opening.trim() || "Please go through these review comments on your changes.";
  return [head, ...placed.map(each => paragraphOf(each))].join("\n\n");
}

function paragraphOf({ comment, found }: Placed): string {
  const stale = found === null ? " (this line has changed since)" : "";
  const quote = comment.quote.join("\n");
  const fence = "`".repeat(Math.max(3, longestRun(quote) + 1));
  const place = placeName(comment, found);
  const ticks = "`".repeat(longestRun(place) + 1);
  return `**${ticks}${place}${ticks}**${stale}\n\n${fence}\n${quote}\n${fence}\n\n${comment.text.trim()}`;
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map(run => run.length));
}

/** What the browser keeps of a session's review. `viewed` has what each file was when it was marked. */
export type Review = {
  readonly comments: readonly Comment[];
  readonly viewed: Readonly<Record<string, string>>;
};

export const NO_REVIEW: Review = { comments: [], viewed: {} };

/** Return a review that was kept as JSON; what cannot be read is left out. */
export function decodeReview(text: string | null): Review {
  if (text === null) return NO_REVIEW;
  try {
    const kept = JSON.parse(text) as Partial<Review> | null;
    const comments = Array.isArray(kept?.comments) ? kept.comments.filter(isComment).slice(0, COMMENTS_MAX) : [];
    const viewed = typeof kept?.viewed === "object" && kept.viewed !== null ? kept.viewed : {};
    return { comments, viewed: Object.fromEntries(Object.entries(viewed).filter(([, as]) => typeof as === "string")) };
  } catch {
    return NO_REVIEW;
  }
}

function isComment(value: unknown): value is Comment {
  const it = value as Partial<Comment> | null;
  const isText = (each: unknown): boolean => typeof each === "string";
  const areTexts = (each: unknown): boolean => Array.isArray(each) && each.every(isText);
  return (
    typeof it === "object" &&
    it !== null &&
    [it.id, it.file, it.text].every(isText) &&
    (it.draft === null || isText(it.draft)) &&
    [it.from, it.to, it.atMs].every(each => typeof each === "number") &&
    [it.quote, it.above, it.below].every(areTexts) &&
    (it.side === "before" || it.side === "after") &&
    (it.state === "open" || it.state === "resolved" || it.state === "sent")
  );
}
