/** The rows of a transcript: prompts, parts, errors and the ends of turns, with keys that never change. */
import type { Info, Part } from "../wire/opencode.ts";
import type { TurnItem } from "../wire/types.ts";
import type { Transcript } from "./transcript.ts";

export type Row =
  | { readonly kind: "prompt"; readonly key: string; readonly messageId: string; readonly turn: number | null }
  | { readonly kind: "part"; readonly key: string; readonly messageId: string }
  | { readonly kind: "failed"; readonly key: string; readonly messageId: string }
  | { readonly kind: "turn-end"; readonly key: string; readonly turn: number };

/** Which turns a conversation has, by the messages that belong to them. */
export type TurnIndex = {
  readonly byNumber: ReadonlyMap<number, TurnItem>;
  /** The turn that begins with the message. */
  readonly byMessage: ReadonlyMap<string, TurnItem>;
};

export function indexTurns(turns: readonly TurnItem[]): TurnIndex {
  return {
    byNumber: new Map(turns.map(turn => [turn.number, turn])),
    byMessage: new Map(turns.map(turn => [turn.messageId, turn])),
  };
}

/** Return the turn that a message belongs to: the last that began until then, because OpenCode's ids ascend. */
export function turnOf(turns: TurnIndex, messageId: string): TurnItem | undefined {
  return [...turns.byNumber.values()].findLast(turn => turn.messageId <= messageId);
}

/** Return the rows of what the transcript holds. */
export function rowsOf(transcript: Transcript, turns: TurnIndex): readonly Row[] {
  const rows: Row[] = [];
  let open: number | null = null;
  for (const messageId of transcript.messages()) {
    const info = transcript.info(messageId);
    if (info === undefined) continue;
    const begins = turns.byMessage.get(messageId);
    if (begins !== undefined) {
      addEnd(rows, turns, open ?? begins.number - 1);
      open = begins.number;
    }
    addMessage(rows, transcript, info, begins?.number ?? null);
  }
  if (open === null) open = turnAround(transcript, turns);
  if (open !== null && transcript.after === null) addEnd(rows, turns, open);
  return rows;
}

function addEnd(rows: Row[], turns: TurnIndex, number: number): void {
  const turn = turns.byNumber.get(number);
  if (turn !== undefined && turn.endedAt !== null && rows.length > 0)
    rows.push({ kind: "turn-end", key: `turn-${number}`, turn: number });
}

/** The newest turn, if the window begins in the middle of it. */
function turnAround(transcript: Transcript, turns: TurnIndex): number | null {
  if (transcript.messages().length === 0 || transcript.before === null) return null;
  return turns.byNumber.size === 0 ? null : Math.max(...turns.byNumber.keys());
}

function addMessage(rows: Row[], transcript: Transcript, info: Info, turn: number | null): void {
  const parts = transcript.parts(info.id);
  if (info.role === "user") {
    if (turn !== null || parts.some(isSaid)) rows.push({ kind: "prompt", key: info.id, messageId: info.id, turn });
    for (const part of parts) if (part.kind === "compaction") rows.push(partRow(part));
    return;
  }
  for (const part of parts) if (isRow(part)) rows.push(partRow(part));
  if (info.error !== null) rows.push({ kind: "failed", key: `${info.id}-failed`, messageId: info.id });
}

function partRow(part: Part): Row {
  return { kind: "part", key: part.id, messageId: part.messageId };
}

/** Whether a person wrote the part: OpenCode adds parts of its own. */
export function isSaid(part: Part): boolean {
  return (
    (part.kind === "text" && !part.isSynthetic && part.text !== "") || part.kind === "file" || part.kind === "unknown"
  );
}

function isRow(part: Part): boolean {
  switch (part.kind) {
    case "text":
    case "reasoning":
      return part.text.trim() !== "";
    case "step":
    case "patch":
      return false;
    default:
      return true;
  }
}

/** The text that a person wrote in a message. */
export function saidIn(parts: readonly Part[]): string {
  return parts
    .filter(part => part.kind === "text" && !part.isSynthetic)
    .map(part => (part.kind === "text" ? part.text : ""))
    .join("\n")
    .trim();
}
