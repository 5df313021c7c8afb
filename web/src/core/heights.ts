/** Estimates of the heights of transcript rows that were never visible, in pixels: they keep the scroll position stable. */
import type { Part } from "../wire/opencode.ts";
import type { Row } from "./rows.ts";
import { saidIn } from "./rows.ts";
import { kindOf } from "./tools.ts";
import type { Transcript } from "./transcript.ts";

const LINE_PX = 20.3;
const CHARS_A_LINE = 82;
const OUTPUT_LINE_PX = 18.75;
const OUTPUT_LINES = 10;
const PROMPT_LINES = 12;
const FOLDED_PX = 36;
const OPENED_PX = 16;

/** Return an estimate of a row's height. */
export function heightOf(row: Row | undefined, transcript: Transcript): number {
  switch (row?.kind) {
    case "prompt": {
      const lines = linesOf(saidIn(transcript.parts(row.messageId)), CHARS_A_LINE * 1.3);
      return 49 + LINE_PX * Math.min(lines, PROMPT_LINES) + (lines > PROMPT_LINES ? 24 : 0);
    }
    case "part": {
      const part = transcript.part(row.key);
      return part === undefined ? FOLDED_PX : partHeight(part);
    }
    case "failed":
      return 36;
    case "turn-end":
      return 41;
    default:
      return 0;
  }
}

function partHeight(part: Part): number {
  if (part.kind === "text") return 6 + LINE_PX * linesOf(part.text, CHARS_A_LINE);
  if (part.kind !== "tool") return FOLDED_PX;
  const isOpen = kindOf(part) === "bash" && part.output !== "";
  return isOpen
    ? FOLDED_PX + OPENED_PX + OUTPUT_LINE_PX * Math.min(OUTPUT_LINES, linesOf(part.output, 100))
    : FOLDED_PX;
}

function linesOf(text: string, chars: number): number {
  let lines = 0;
  let from = 0;
  while (from <= text.length) {
    const end = text.indexOf("\n", from);
    const stop = end < 0 ? text.length : end;
    lines += Math.max(1, Math.ceil((stop - from) / chars));
    from = stop + 1;
    if (end < 0) break;
  }
  return lines;
}
