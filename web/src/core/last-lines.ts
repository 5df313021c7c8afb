/** The last messages of a transcript, each as a short text, for views that show no transcript. */
import { record, text } from "../wire/opencode.ts";
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

function lineOf(info: unknown, value: unknown): Line | null {
  const part = record(value);
  const id = text(part.id);
  if (id === "") return null;
  if (part.type === "tool") {
    const state = record(part.state);
    const title = text(state.title) || text(record(state.input).command) || text(state.status);
    return { id, kind: "tool", lead: oneLine(text(part.tool) || "tool", 40), text: oneLine(title, 200) };
  }
  const words = part.type === "text" && part.synthetic !== true ? text(part.text).trim() : "";
  if (words === "") return null;
  const isPrompt = record(info).role === "user";
  return { id, kind: isPrompt ? "prompt" : "text", lead: isPrompt ? "you" : "", text: plain(tail(words, isPrompt)) };
}

/** The important part of a prompt is its beginning, that of an answer its end. */
function tail(words: string, isPrompt: boolean): string {
  if (words.length <= TEXT_MAX) return words;
  return isPrompt ? `${words.slice(0, TEXT_MAX)}…` : `…${words.slice(-TEXT_MAX)}`;
}
