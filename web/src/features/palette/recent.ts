/** The recently used entries of the palette, the newest first; remembered by this browser. */
import { readSetting, writeSetting } from "../../browser/storage.ts";

const KEPT = 20;

export function recentIds(): readonly string[] {
  return (readSetting("recent") ?? "").split("\n").filter(Boolean);
}

export function remember(id: string): void {
  writeSetting("recent", [id, ...recentIds().filter(each => each !== id)].slice(0, KEPT).join("\n"));
}
