/**
 * Markdown as tokens, for every input.
 *
 * The lexer takes quadratic time for some texts without an end of paragraph, and its stack is limited: a text that would nest too
 * deep or take too long stays plain text. No answer of an agent may block the page.
 */
import { Lexer, type Token } from "marked";

/** A longer run of prose without a blank line is not read for emphasis and links: 100,000 characters take 3 s. */
const INLINE_CHARS_MAX = 8_000;
const DEPTH_MAX = 20;
const MARKER = "(?:>|[-*+](?=[ \\t])|\\d{1,9}[.)](?=[ \\t]))";
const RULE = "(?!(?:[ \\t]*[-*_]){3,}[ \\t]*$)";
const TOO_DEEP = new RegExp(`^${RULE}(?:[ \\t]*${MARKER}){${DEPTH_MAX}}|^[ \\t]{64,}${MARKER}`, "m");

/** The largest number of list items and table rows that a view may have. */
const ITEMS_MAX = 1_500;
const ITEM = /^[ \t]*(?:[-*+|]|\d{1,9}[.)])/gm;

/** Return only the blocks; null if they would be too deep or too many. */
export function blockTokens(text: string): readonly Token[] | null {
  return lexed(text)?.tokens ?? null;
}

/** Return all tokens; null if they would be too deep or too many. */
export function tokensOf(text: string): readonly Token[] | null {
  const lexer = lexed(text);
  if (lexer === null) return null;
  for (const { src, tokens } of lexer.inlineQueue) {
    if (src.length <= INLINE_CHARS_MAX) lexer.inlineTokens(src, tokens);
    else tokens.push({ type: "text", raw: src, text: src });
  }
  return lexer.tokens;
}

function lexed(text: string): Lexer | null {
  if (TOO_DEEP.test(text) || hasTooMany(text)) return null;
  const lexer = new Lexer();
  try {
    lexer.blockTokens(text.replace(/\r\n|\r/g, "\n"), lexer.tokens);
    return lexer;
  } catch (error) {
    if (error instanceof RangeError) return null; // the stack has overflowed
    throw error;
  }
}

function hasTooMany(text: string): boolean {
  if (text.length < 2 * ITEMS_MAX) return false;
  let items = 0;
  for (const _ of text.matchAll(ITEM)) {
    items += 1;
    if (items > ITEMS_MAX) return true;
  }
  return false;
}
