/** A diff as text that `git apply` takes. */
import type { Compared } from "./line-diff.ts";

export type PatchFile = {
  readonly file: string;
  readonly oldFile: string | null;
  /** A name that is not UTF-8, with a character for each byte; null for any other. */
  readonly fileBytes?: string | null | undefined;
  readonly oldFileBytes?: string | null | undefined;
  readonly status: "added" | "deleted" | "modified";
  readonly modeBefore: string | null;
  readonly modeAfter: string | null;
};

const CONTEXT = 3;

/** Return the part of a patch that is about one file. */
export function patchOf(file: PatchFile, diff: Compared): string {
  const old = (prefix: string): string =>
    file.oldFile === null ? now(prefix) : named(prefix, file.oldFile, file.oldFileBytes ?? null);
  const now = (prefix: string): string => named(prefix, file.file, file.fileBytes ?? null);
  const head = [`diff --git ${old("a/")} ${now("b/")}`, ...modes(file)];
  if (file.oldFile !== null) head.push(`rename from ${old("")}`, `rename to ${now("")}`);
  const hunks = hunksOf(diff);
  if (hunks.length === 0) return `${head.join("\n")}\n`;
  const sides = [
    `--- ${file.status === "added" ? "/dev/null" : old("a/")}`,
    `+++ ${file.status === "deleted" ? "/dev/null" : now("b/")}`,
  ];
  return `${[...head, ...sides, ...hunks].join("\n")}\n`;
}

function modes({ status, modeBefore, modeAfter }: PatchFile): readonly string[] {
  if (status === "added") return [`new file mode ${modeAfter ?? "100644"}`];
  if (status === "deleted") return [`deleted file mode ${modeBefore ?? "100644"}`];
  if (modeBefore === null || modeAfter === null || modeBefore === modeAfter) return [];
  return [`old mode ${modeBefore}`, `new mode ${modeAfter}`];
}

/** Return a file's name as git writes it: byte by byte, where it is not UTF-8. */
function named(prefix: string, file: string, bytes: string | null): string {
  return bytes === null ? quoted(prefix + file) : `"${prefix}${bytes.replace(/["\\]|[^ -~]/g, escaped)}"`;
}

/** Return a byte as git escapes it. */
function escaped(byte: string): string {
  return byte === '"' || byte === "\\" ? `\\${byte}` : `\\${byte.charCodeAt(0).toString(8).padStart(3, "0")}`;
}

/** Return a path as git writes it: in quotes if it has characters with a special meaning. */
function quoted(path: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to be written in another way
  if (!/["\\\u0000-\u001f\u007f]/.test(path)) return path;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
  return `"${path.replace(/["\\\u0000-\u001f\u007f]/g, escaped)}"`;
}

type Line = { readonly sign: " " | "-" | "+"; readonly text: string; readonly isTorn: boolean };

function hunksOf(diff: Compared): readonly string[] {
  const lines = linesOf(diff);
  const out: string[] = [];
  let old = 1;
  let now = 1;
  for (let at = 0; at < lines.length; ) {
    const begin = lines.findIndex((line, index) => index >= at && line.sign !== " ");
    if (begin < 0) break;
    const from = Math.max(at, begin - CONTEXT);
    const to = endOf(lines, begin);
    const skipped = from - at;
    const part = lines.slice(from, to);
    const oldCount = part.filter(line => line.sign !== "+").length;
    const nowCount = part.filter(line => line.sign !== "-").length;
    old += skipped;
    now += skipped;
    out.push(`@@ -${oldCount ? old : old - 1},${oldCount} +${nowCount ? now : now - 1},${nowCount} @@`);
    for (const line of part)
      out.push(`${line.sign}${line.text}`, ...(line.isTorn ? ["\\ No newline at end of file"] : []));
    old += oldCount;
    now += nowCount;
    at = to;
  }
  return out;
}

/** Return where the hunk ends that has a change at `begin`: changes with little between them share one. */
function endOf(lines: readonly Line[], begin: number): number {
  let last = begin;
  for (let at = begin; at < lines.length && at - last <= 2 * CONTEXT; at += 1) if (lines[at]?.sign !== " ") last = at;
  return Math.min(lines.length, last + CONTEXT + 1);
}

function linesOf(diff: Compared): readonly Line[] {
  const lines: Line[] = [];
  let old = 0;
  let now = 0;
  const isTorn = (side: "before" | "after", index: number): boolean =>
    !diff.endsWell[side] && index === diff[side].length - 1;
  const push = (sign: Line["sign"], side: "before" | "after", index: number): void => {
    lines.push({ sign, text: diff[side][index] ?? "", isTorn: isTorn(side, index) });
  };
  for (const run of diff.runs) {
    for (let count = 0; count < run.same; count += 1) push(" ", "before", old + count);
    old += run.same;
    now += run.same;
    for (let count = 0; count < run.del; count += 1) push("-", "before", old + count);
    for (let count = 0; count < run.add; count += 1) push("+", "after", now + count);
    old += run.del;
    now += run.add;
  }
  return lines;
}
