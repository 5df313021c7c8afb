/** What kind of change a file has, in words and one letter. */
import type { DiffItem } from "../../wire/types.ts";

export type Letter = "A" | "M" | "D" | "R";

export function letterOf(item: DiffItem): Letter {
  if (item.status === "added") return "A";
  if (item.status === "deleted") return "D";
  return item.oldFile === null ? "M" : "R";
}

export const WORDS: Readonly<Record<Letter, string>> = { A: "added", M: "modified", D: "deleted", R: "renamed" };

/** Kinds of images that the page shows. SVG is text, and may hold scripts: it is shown as text. */
const IMAGES: Readonly<Record<string, string>> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  bmp: "image/bmp",
  ico: "image/x-icon",
};

/** Return the media type of an image that can be shown, null for any other file. */
export function imageType(file: string): string | null {
  return IMAGES[file.slice(file.lastIndexOf(".") + 1).toLowerCase()] ?? null;
}

/** Return the change of a file's mode in words; null if it has not changed. */
export function modeWords({ modeBefore, modeAfter }: DiffItem): string | null {
  if (modeBefore === null || modeAfter === null || modeBefore === modeAfter) return null;
  const name = (mode: string): string => MODES[mode] ?? mode;
  return `${name(modeBefore)} → ${name(modeAfter)}`;
}

const MODES: Readonly<Record<string, string>> = {
  "100644": "file (100644)",
  "100755": "executable (100755)",
  "120000": "symbolic link",
  "160000": "submodule",
};

/** Return the text that the tree shows instead of line counts; null if the file has counts. */
export function noCounts(item: DiffItem): string | null {
  if (item.isBinary) return "binary";
  if (item.isTruncated) return "large";
  return modeWords(item) !== null && !hasCounts(item) ? "mode" : null;
}

function hasCounts(item: DiffItem): boolean {
  return item.additions + item.deletions > 0;
}
