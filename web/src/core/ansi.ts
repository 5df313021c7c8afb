/** Terminal output as runs of text with colours: SGR sequences become names of colours, all other sequences are removed. */
import { plain, unstyled } from "./text.ts";

export type Run = { readonly text: string; readonly colour: string | null; readonly isBold: boolean };

const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"] as const;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character begins a sequence
const SGR = /\u001b\[([0-9;:]*)m/g;

type Pen = { colour: string | null; isBold: boolean };

/** Return the runs of an output. A line that carriage returns have overwritten shows its last content. */
export function runsOf(output: string): readonly Run[] {
  const text = overwritten(output);
  const runs: Run[] = [];
  let pen: Pen = { colour: null, isBold: false };
  let from = 0;
  for (const match of text.matchAll(SGR)) {
    add(runs, text.slice(from, match.index), pen);
    pen = changed(pen, match[1] ?? "");
    from = match.index + match[0].length;
  }
  add(runs, text.slice(from), pen);
  return runs;
}

function add(runs: Run[], text: string, pen: Pen): void {
  const shown = plain(unstyled(text));
  if (shown === "") return;
  const last = runs.at(-1);
  if (last !== undefined && last.colour === pen.colour && last.isBold === pen.isBold)
    runs[runs.length - 1] = { ...last, text: last.text + shown };
  else runs.push({ text: shown, ...pen });
}

/** Progress bars write one line again and again: keep the last content of each line. */
function overwritten(output: string): string {
  if (!output.includes("\r")) return output;
  return output
    .replace(/\r+\n/g, "\n")
    .split("\n")
    .map(line => line.slice(line.lastIndexOf("\r") + 1))
    .join("\n");
}

function changed(pen: Pen, codes: string): Pen {
  let next = pen;
  const numbers = codes.split(/[;:]/).map(Number);
  for (let index = 0; index < numbers.length; index += 1) {
    const code = numbers[index] ?? 0;
    if (code === 0) next = { colour: null, isBold: false };
    else if (code === 1) next = { ...next, isBold: true };
    else if (code === 22) next = { ...next, isBold: false };
    else if (code === 39) next = { ...next, colour: null };
    else if (code >= 30 && code <= 37) next = { ...next, colour: COLOURS[code - 30] ?? null };
    else if (code >= 90 && code <= 97) next = { ...next, colour: COLOURS[code - 90] ?? null };
    // 256 colours and true colours, of text and background: the numbers after them are no codes of their own.
    else if (code === 38 || code === 48) index += numbers[index + 1] === 2 ? 4 : 2;
  }
  return next;
}

/** Return the last `max` lines, and the number of lines before them. */
export function lastLines(text: string, max: number): { readonly text: string; readonly hidden: number } {
  const whole = text.replace(/\n+$/, "");
  let from = whole.length;
  let lines = 0;
  while (lines < max) {
    const at = from === 0 ? -1 : whole.lastIndexOf("\n", from - 1);
    lines += 1;
    if (at < 0) return { text: whole, hidden: 0 };
    from = at;
  }
  return { text: whole.slice(from + 1), hidden: count(whole, from) + 1 };
}

/** Return the first `max` lines, and the number of lines after them. */
export function firstLines(text: string, max: number): { readonly text: string; readonly hidden: number } {
  const whole = text.replace(/\n+$/, "");
  let from = -1;
  for (let line = 0; line < max; line += 1) {
    from = whole.indexOf("\n", from + 1);
    if (from < 0) return { text: whole, hidden: 0 };
  }
  return { text: whole.slice(0, from), hidden: count(whole, whole.length) - count(whole, from) };
}

function count(text: string, until: number): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0 && at < until; at = text.indexOf("\n", at + 1)) lines += 1;
  return lines;
}
