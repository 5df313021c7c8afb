/** Asks the worker that highlights code, and keeps its results: scrolling removes rows and shows them again. */
import { type Answered, type Asked, type CodeLine, HIGHLIGHT_CHARS_MAX } from "../core/code.ts";
import { startWorker } from "./trusted-types.ts";
import address from "./workers/highlight.ts?worker&url";

const REMEMBERED = 300;
const REMEMBERED_CHARS = 2_000_000;

let worker: Worker | null | undefined;
let count = 0;
let chars = 0;
const waiting = new Map<number, (lines: readonly CodeLine[] | null) => void>();
const remembered = new Map<string, readonly CodeLine[] | null>();

function theWorker(): Worker | null {
  if (worker !== undefined) return worker;
  try {
    worker = startWorker(new URL(address, location.href));
  } catch {
    worker = null; // no workers here: code is shown plain
    return null;
  }
  worker.onmessage = (event: MessageEvent<Answered>) => {
    waiting.get(event.data.id)?.(event.data.lines);
    waiting.delete(event.data.id);
  };
  worker.onerror = () => {
    for (const answer of waiting.values()) answer(null);
    waiting.clear();
    worker = null;
  };
  return worker;
}

/** Return the known result for this code; undefined if the worker has to be asked. */
export function knownLines(code: string, language: string): readonly CodeLine[] | null | undefined {
  if (code.length > HIGHLIGHT_CHARS_MAX) return null;
  return remembered.get(keyOf(code, language));
}

/** Return the code's lines as tokens; null if the code is shown plain. */
export async function highlight(code: string, language: string): Promise<readonly CodeLine[] | null> {
  const known = knownLines(code, language);
  if (known !== undefined) return known;
  const asked = theWorker();
  if (asked === null) return null;
  count += 1;
  const id = count;
  const lines = await new Promise<readonly CodeLine[] | null>(resolve => {
    waiting.set(id, resolve);
    asked.postMessage({ id, code, language } satisfies Asked);
  });
  remember(keyOf(code, language), lines);
  return lines;
}

function keyOf(code: string, language: string): string {
  return `${language}\n${code}`;
}

function remember(key: string, lines: readonly CodeLine[] | null): void {
  remembered.set(key, lines);
  chars += key.length;
  for (const oldest of remembered.keys()) {
    if (remembered.size <= REMEMBERED && chars <= REMEMBERED_CHARS) return;
    remembered.delete(oldest);
    chars -= oldest.length;
  }
}
