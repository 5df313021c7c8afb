/** The worker that compares texts: bytes in, lines and runs out. The page stays responsive meanwhile. */
import { type Compared, compare } from "../../core/line-diff.ts";
import { type PatchFile, patchOf } from "../../core/patch.ts";
import { readText } from "./read-text.ts";

export type CompareRequest = {
  readonly before: Uint8Array | null;
  readonly after: Uint8Array | null;
  readonly isCut: boolean;
  readonly ignoreBlanks: boolean;
  /** With a file, the answer is the text of a patch. */
  readonly patch: PatchFile | null;
};

export type ToWorker = CompareRequest & { readonly id: number };

self.onmessage = ({ data }: MessageEvent<ToWorker>): void => {
  try {
    const { before, after, isCut, ignoreBlanks, patch } = data;
    const compared = compare(readText(before, isCut), readText(after, isCut), ignoreBlanks);
    self.postMessage({ id: data.id, result: patch ? patchText(patch, compared) : compared });
  } catch (error) {
    self.postMessage({ id: data.id, failure: String(error) });
  }
};

function patchText(patch: PatchFile, compared: Compared): string | null {
  return compared.isForeign ? null : patchOf(patch, compared);
}
