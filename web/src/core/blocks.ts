/**
 * Markdown that grows, as blocks.
 *
 * Parsing a whole answer again at each word costs more and more. So only the open tail is lexed: every block but the last
 * is closed, and closed blocks keep their text, so that their rendering is kept too. The last one may still change its kind
 * (a line becomes a heading, a list continues). Blocks are known by their index.
 */
import { blockTokens } from "./lex.ts";

export type Blocks = { readonly source: string; readonly closed: readonly string[]; readonly open: string };

export const NO_BLOCKS: Blocks = { source: "", closed: [], open: "" };

/** Return the blocks of `source`; `before` are those of what it was. A source that does not continue the old one starts from the beginning. */
export function blocksOf(source: string, before: Blocks = NO_BLOCKS): Blocks {
  if (source === before.source) return before;
  const goesOn = source.startsWith(before.source);
  const closed = goesOn ? before.closed : [];
  const tail = goesOn ? before.open + source.slice(before.source.length) : source;
  const pieces = cut(tail);
  const last = pieces.at(-1) ?? "";
  const fresh = pieces.slice(0, -1);
  return { source, closed: fresh.length === 0 ? closed : [...closed, ...fresh], open: last };
}

/** Cut a text at its top-level blocks. Nothing is lost: the pieces put together are the text. */
function cut(text: string): readonly string[] {
  // A definition may be anywhere and is needed everywhere: a text with one is not cut.
  if (/^ {0,3}\[[^\]]+\]:/m.test(text)) return [text];
  const pieces: string[] = [];
  for (const token of blockTokens(text) ?? []) {
    // Blank lines belong to the block before them, as two lists or paragraphs would else come apart in another way.
    if (token.type === "space" && pieces.length > 0) pieces[pieces.length - 1] += token.raw;
    else pieces.push(token.raw);
  }
  return pieces.join("") === text ? pieces : [text];
}
