/** Bytes of a content as lines. */
import type { Text } from "../../core/line-diff.ts";

/** A character of UTF-8 has at most four bytes: a limit may cut one, and leave fewer. */
const TORN_BYTES = 3;

/** Return the lines; null is a side that does not exist. `isCut`: the end may be in the middle of a character. */
export function readText(content: Uint8Array | null, isCut: boolean): Text {
  if (content === null || content.length === 0) return { lines: [], endsWell: true, isForeign: false };
  const decoded = decode(content, isCut);
  const lines = (decoded ?? new TextDecoder("latin1").decode(content)).split("\n");
  const endsWell = lines.at(-1) === "";
  if (endsWell) lines.pop();
  return { lines, endsWell, isForeign: decoded === null };
}

function decode(content: Uint8Array, isCut: boolean): string | null {
  for (let torn = 0; torn <= (isCut ? TORN_BYTES : 0); torn += 1) {
    try {
      const part = content.subarray(0, content.length - torn);
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(part);
    } catch {
      // not UTF-8 up to there
    }
  }
  return null;
}
