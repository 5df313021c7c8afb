/** Files that go with a prompt. */
import { mimeOf } from "../core/prompting.ts";
import type { DraftFile } from "./drafts.ts";

const SNIFFED_BYTES = 8_192;

/** Return a file in the form that a prompt needs; null if OpenCode does not accept its type. */
export async function draftFile(file: File): Promise<DraftFile | null> {
  const mime = mimeOf(file.type, await isText(file));
  if (mime === null) return null;
  const id = Array.from(crypto.getRandomValues(new Uint8Array(8)), byte => byte.toString(16)).join("");
  return { id, name: file.name || `pasted.${file.type.split("/")[1] ?? "txt"}`, mime, data: file };
}

async function isText(file: Blob): Promise<boolean> {
  const bytes = new Uint8Array(await file.slice(0, SNIFFED_BYTES).arrayBuffer());
  if (bytes.includes(0)) return false;
  try {
    // The last character may be cut in the middle.
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

/** Return a file's content in base64. */
export function base64Of(data: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => {
      const address = String(reader.result);
      resolve(address.slice(address.indexOf(",") + 1));
    };
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(data);
  });
}
