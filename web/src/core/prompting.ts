/** The syntax of the box for prompts: `/` commands, `@` files, the limits of files, and the commands that are sent. */

export type Trigger = {
  readonly kind: "command" | "file";
  readonly query: string;
  /** Where the typed part begins and ends, including its `/` or `@`. */
  readonly from: number;
  readonly to: number;
};

/** Return what is being typed at the caret: a command at the very beginning, or a file after an `@`. */
export function triggerAt(text: string, caret: number): Trigger | null {
  const before = text.slice(0, caret);
  const command = /^\/([\w:./-]*)$/.exec(before);
  if (command) return { kind: "command", query: command[1] ?? "", from: 0, to: caret };
  const file = /(?:^|\s)@([^\s@]*)$/.exec(before);
  if (!file) return null;
  const query = file[1] ?? "";
  return { kind: "file", query, from: caret - query.length - 1, to: caret };
}

/** Replace the typed part by the choice. Return the text and the new position of the caret. */
export function completed(text: string, trigger: Trigger, value: string): readonly [string, number] {
  const put = trigger.kind === "command" ? `/${value} ` : `@${value} `;
  const rest = text.slice(trigger.to);
  return [text.slice(0, trigger.from) + put + rest.replace(/^ /, ""), trigger.from + put.length];
}

/** Return the command that a text calls: its name and its arguments; null for a text that is a prompt. */
export function commandIn(
  text: string,
  names: ReadonlySet<string>,
): { readonly command: string; readonly arguments: string } | null {
  const match = /^\/([\w:./-]+)(?:\s+([\s\S]*))?$/.exec(text.trim());
  const name = match?.[1];
  return name !== undefined && names.has(name) ? { command: name, arguments: match?.[2] ?? "" } : null;
}

export const FILES_MAX = 50;
/** The bytes that a request needs beside the files of a prompt; the rest of the limit is for the files. */
const OVERHEAD_BYTES = 64 * 1024;
const BASE64 = 4 / 3;

/** Return whether files of this size fit into one request, together with the text. */
export function fits(fileBytes: number, textBytes: number, bodyBytes: number): boolean {
  return fileBytes * BASE64 + textBytes + OVERHEAD_BYTES <= bodyBytes;
}

/** Return the type under which OpenCode takes a file; null for one that it does not. */
export function mimeOf(type: string, isText: boolean): string | null {
  if (type.startsWith("image/") || type.startsWith("text/") || type === "application/pdf") return type;
  return isText ? "text/plain" : null;
}
