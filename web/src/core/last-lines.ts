/** The last things that a transcript says, each as a short text: for a look that is no transcript. */
import { oneLine, plain } from "./text.ts";

export type Line = {
  readonly id: string;
  readonly kind: "prompt" | "text" | "tool";
  readonly lead: string;
  readonly text: string;
};

type Message = { readonly info: unknown; readonly parts: readonly unknown[] };

const TEXT_MAX = 600;

/** Return the last lines of a stretch of messages, oldest first; parts without words are left out. */
export function linesOf(messages: readonly Message[], max: number): readonly Line[] {
  return messages.flatMap(message => message.parts.flatMap(part => lineOf(message.info, part) ?? [])).slice(-max);
}

function lineOf(info: unknown, part: unknown): Line | null {
  const id = textAt(part, "id");
  const type = textAt(part, "type");
  if (id === null || type === null) return null;
  if (type === "tool") {
    const state = field(part, "state");
    const title = textAt(state, "title") ?? textAt(field(state, "input"), "command") ?? textAt(state, "status") ?? "";
    return { id, kind: "tool", lead: oneLine(textAt(part, "tool") ?? "tool", 40), text: oneLine(title, 200) };
  }
  const text = type === "text" && field(part, "synthetic") !== true ? (textAt(part, "text") ?? "").trim() : "";
  if (text === "") return null;
  const isPrompt = textAt(info, "role") === "user";
  return { id, kind: isPrompt ? "prompt" : "text", lead: isPrompt ? "you" : "", text: plain(tail(text, isPrompt)) };
}

/** A prompt says what it is about at its beginning, an answer at its end. */
function tail(text: string, isPrompt: boolean): string {
  if (text.length <= TEXT_MAX) return text;
  return isPrompt ? `${text.slice(0, TEXT_MAX)}…` : `…${text.slice(-TEXT_MAX)}`;
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function textAt(value: unknown, name: string): string | null {
  const found = field(value, name);
  return typeof found === "string" ? found : null;
}
