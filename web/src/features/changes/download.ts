/** The diff as a patch file, made in the browser. */
import type { QueryClient } from "@tanstack/react-query";
import { patchContents } from "../../browser/diffing.ts";
import type { DiffItem } from "../../wire/types.ts";
import { readSides } from "./data.ts";

export type Patch = {
  readonly text: string;
  /** Files that a text patch cannot have. */
  readonly leftOut: readonly string[];
};

/** Make a patch of all files whose texts are complete. Rejects with `Refused`. */
export async function makePatch(queries: QueryClient, id: string, files: readonly DiffItem[]): Promise<Patch> {
  const parts: string[] = [];
  const leftOut: string[] = [];
  for (const item of files) {
    if (item.isBinary || item.isTruncated) {
      leftOut.push(item.file);
      continue;
    }
    const { file, oldFile, fileBytes, oldFileBytes, status, modeBefore, modeAfter } = item;
    const head = {
      file,
      oldFile,
      fileBytes: bytesOf(fileBytes),
      oldFileBytes: bytesOf(oldFileBytes),
      status,
      modeBefore,
      modeAfter,
    };
    const part = await patchContents(await readSides(queries, id, item), head);
    if (part === null) leftOut.push(item.file);
    else parts.push(part);
  }
  return { text: parts.join(""), leftOut };
}

/** Let the browser download a text as a file. */
export function saveAs(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "text/x-diff" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Decode base64 into a string with one character for each byte. */
function bytesOf(base64: string | null | undefined): string | null {
  return base64 ? atob(base64) : null;
}
