/**
 * The messages of one conversation: pages of REST, logged events, snapshots and signals in; messages with their parts out.
 *
 * Every message and part has its newest known content: each holds the log position of that content, and an older
 * one never replaces it, in any order of pages and events. Unfinished parts have no position: a snapshot replaces
 * all of them, and the logged part replaces the snapshot. It holds a window of the conversation, `before` and `after` say from
 * where to continue reading; changes outside of the window are not kept.
 */
import type { SessionTurnStarted, SessionTurnSteered } from "../wire/api.ts";
import { type Info, infoOf, type Part, partOf, record, text } from "../wire/opencode.ts";
import type { LoggedEvent, OpenPart, ServerFrame, Signal } from "../wire/types.ts";
import { SentPrompts } from "./sent-prompts.ts";

/** A page of `GET /messages`. */
export type Page = {
  readonly messages: readonly { readonly info: unknown; readonly parts: readonly unknown[] }[];
  readonly pagination: { readonly before: string | null; readonly after: string | null; readonly total: number };
};

/** The place of a page: the newest, next to the window, or elsewhere. */
export type Place = "tail" | "before" | "after" | "around";

export type Changes = {
  readonly parts: ReadonlySet<string>;
  readonly messages: ReadonlySet<string>;
  /** Messages or parts were added, removed, or changed their order. */
  readonly isReordered: boolean;
};

export type Retry = { readonly attempt: number; readonly message: string };

/** A part that is being written, or a message of which only parts have arrived. */
const UNLOGGED = -1;
/** A prompt that was sent and that OpenCode has not stored yet: no snapshot removes it, and a logged message replaces it. */
const PROVISIONAL = 0;

type HeldInfo = { readonly info: Info; readonly at: number };
type HeldPart = { readonly part: Part; readonly at: number };

export class Transcript {
  readonly sessionId: string;
  readonly conversation: string;
  /** The position up to which it is whole; null before the first page. */
  position: number | null = null;
  /** The ids from which reading continues towards the beginning and the end; null where the window reaches it. */
  before: string | null = null;
  after: string | null = null;
  total = 0;
  retry: Retry | null = null;
  isErased = false;
  readonly #infos = new Map<string, HeldInfo>();
  readonly #parts = new Map<string, Map<string, HeldPart>>();
  readonly #messageOf = new Map<string, string>();
  readonly #prompts = new SentPrompts();
  #order: readonly string[] | null = null;
  #changedParts = new Set<string>();
  #changedMessages = new Set<string>();
  #isReordered = false;

  /** `conversation` is OpenCode's id of the session, or of a sub-agent of it. */
  constructor(sessionId: string, conversation: string) {
    this.sessionId = sessionId;
    this.conversation = conversation;
  }

  // ------------------------------------------------------------------------------------------------------------ reading

  /** The ids of the messages, the oldest first. */
  messages(): readonly string[] {
    this.#order ??= [...this.#infos.keys()].sort((one, other) => this.#compare(one, other));
    return this.#order;
  }

  info(messageId: string): Info | undefined {
    return this.#infos.get(messageId)?.info;
  }

  /** The parts of a message, in the order in which they were begun: OpenCode's ids ascend with time. */
  parts(messageId: string): readonly Part[] {
    const held = this.#parts.get(messageId);
    if (held === undefined) return [];
    return [...held.values()].map(each => each.part).sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  part(partId: string): Part | undefined {
    return this.#parts.get(this.#messageOf.get(partId) ?? "")?.get(partId)?.part;
  }

  /** Whether the part is being written. */
  isOpen(partId: string): boolean {
    return this.#parts.get(this.#messageOf.get(partId) ?? "")?.get(partId)?.at === UNLOGGED;
  }

  /** Return what has changed since the last call. */
  drain(): Changes {
    const changes = {
      parts: this.#changedParts,
      messages: this.#changedMessages,
      isReordered: this.#isReordered,
    };
    this.#changedParts = new Set();
    this.#changedMessages = new Set();
    this.#isReordered = false;
    return changes;
  }

  // -------------------------------------------------------------------------------------------------------------- pages

  /** Take a page that was read at `position`. */
  takePage(page: Page, position: number, place: Place): void {
    if (place === "tail" || place === "around") this.#forgetAll();
    for (const message of page.messages) {
      const info = infoOf(message.info);
      if (info.conversation !== "" && info.conversation !== this.conversation) continue;
      this.#putInfo(info, position, true);
      for (const json of message.parts) this.#putPart(partOf(json), position);
    }
    if (place !== "after") this.before = page.pagination.before;
    if (place !== "before") this.after = page.pagination.after;
    this.total = page.pagination.total;
    this.position = Math.max(this.position ?? 0, position);
  }

  /** Store a part whose long strings are not cut; it is no newer than the held one. */
  takeWhole(json: unknown): void {
    const part = partOf(json);
    const held = this.#parts.get(part.messageId)?.get(part.id);
    if (held?.part.isCut) this.#hold(part.messageId, { part, at: held.at });
  }

  /** Keep at most `max` messages: drop those far from the end at which the reader is. */
  trim(max: number, keep: "start" | "end"): void {
    const ids = this.messages();
    if (ids.length <= max) return;
    const dropped = keep === "end" ? ids.slice(0, ids.length - max) : ids.slice(max);
    const kept = keep === "end" ? ids[ids.length - max] : ids[max - 1];
    for (const id of dropped) this.#drop(id);
    if (keep === "end") this.before = kept ?? null;
    else this.after = kept ?? null;
  }

  // ------------------------------------------------------------------------------------------------------------- frames

  /** Take a frame of a subscription to the session. */
  takeFrame(frame: ServerFrame): void {
    switch (frame.type) {
      case "event":
        this.#takeEvent(frame.event);
        this.position = Math.max(this.position ?? 0, frame.position);
        break;
      case "snapshot":
        this.#takeSnapshot(frame.snapshot.sessions);
        break;
      case "signal":
        this.#takeSignal(frame.signal);
        break;
      case "live":
        this.position = Math.max(this.position ?? 0, frame.position);
        break;
      default:
        break;
    }
  }

  #takeEvent(event: LoggedEvent): void {
    if (event.stream !== `session-${this.sessionId}` || event.erased) return;
    switch (event.type) {
      case "session.message-recorded":
        if (event.data.opencode_id === this.conversation) this.#putInfo(infoOf(event.data.body), event.position);
        break;
      case "session.part-recorded": {
        const part = partOf(event.data.body);
        if (part.conversation === this.conversation) this.#putPart(part, event.position);
        break;
      }
      case "session.prompt-accepted":
        this.#prompts.accept(event.data.prompt_id, event.data);
        break;
      case "session.prompt-edited":
        this.#prompts.edit(event.data.prompt_id, event.data.text);
        break;
      case "session.callbacks-erased":
        for (const each of event.data.replaced) this.#replace(record(each.payload), event.position);
        break;
      case "session.prompt-withdrawn":
        this.#dropUnstored(this.#prompts.withdraw(event.data.prompt_id));
        break;
      case "session.turn-started":
      case "session.turn-steered":
        this.#begin(event.data);
        break;
      case "session.turn-ended":
      case "session.turn-failed":
        this.retry = null;
        this.#endTurn();
        break;
      case "session.disconnected":
      case "session.stopped":
        this.#endTurn();
        break;
      case "session.erased":
        this.isErased = true;
        this.#forgetAll();
        break;
      default:
        break;
    }
  }

  /** Replace the content of an earlier event: a child was erased that had reported to the session. */
  #replace(payload: Readonly<Record<string, unknown>>, position: number): void {
    this.#prompts.edit(text(payload.prompt_id), text(payload.text));
    const part = partOf(payload.body);
    if (this.#parts.get(part.messageId)?.has(part.id)) this.#putPart(part, position);
  }

  /** Show a prompt that was sent, until OpenCode's own message replaces it. */
  #begin(data: SessionTurnStarted | SessionTurnSteered): void {
    const said = this.#prompts.take(data.prompt_id);
    const [partId] = data.part_ids;
    if (said === null || partId === undefined || this.after !== null || this.#infos.has(data.message_id)) return;
    const base = { sessionID: this.conversation };
    this.#prompts.sent(data.prompt_id, data.message_id);
    this.#putInfo(infoOf({ ...base, id: data.message_id, role: "user", time: { created: data.at_ms } }), UNLOGGED);
    this.#putPart(partOf({ ...base, id: partId, messageID: data.message_id, type: "text", text: said }), PROVISIONAL);
  }

  /** Drop the message of a prompt that OpenCode has not stored. */
  #dropUnstored(messageId: string | undefined): void {
    if (messageId !== undefined && this.#infos.get(messageId)?.at === UNLOGGED) this.#drop(messageId);
  }

  /** Drop unfinished parts and prompts that OpenCode did not store: no turn runs any more. */
  #endTurn(): void {
    this.#forgetOpen();
    for (const messageId of this.#prompts.endTurn()) this.#dropUnstored(messageId);
  }

  #takeSnapshot(sessions: readonly { readonly sessionId: string; readonly parts: readonly OpenPart[] }[]): void {
    this.#forgetOpen();
    for (const session of sessions) {
      if (session.sessionId !== this.sessionId) continue;
      for (const open of session.parts) {
        const conversation = open.conversation || text(record(open.body).sessionID) || this.conversation;
        if (conversation === this.conversation) this.#putOpen(openPart(open, conversation));
      }
    }
  }

  #takeSignal(signal: Signal): void {
    if (signal.sessionId !== this.sessionId) return;
    switch (signal.type) {
      case "part": {
        const part = partOf(signal.part);
        if (part.conversation === this.conversation) this.#putOpen(part);
        break;
      }
      case "delta":
        this.#append(signal.messageId, signal.partId, signal.field, signal.delta);
        break;
      case "status":
        this.retry = signal.status === "retry" ? { attempt: signal.attempt, message: signal.message } : null;
        break;
    }
  }

  #append(messageId: string, partId: string, field: string, delta: string): void {
    const held = this.#parts.get(messageId)?.get(partId);
    if (held === undefined || held.at !== UNLOGGED || field !== "text") return;
    const { part } = held;
    if (part.kind !== "text" && part.kind !== "reasoning") return;
    this.#hold(messageId, { part: { ...part, text: part.text + delta }, at: UNLOGGED });
  }

  // ------------------------------------------------------------------------------------------------------------ holding

  #putInfo(info: Info, at: number, isOfPage = false): void {
    if (info.id === "") return;
    const held = this.#infos.get(info.id);
    if (held === undefined && !isOfPage && !this.#isInside(info.createdMs)) return;
    if (held !== undefined && held.at > at) return;
    this.#infos.set(info.id, { info, at });
    this.#changedMessages.add(info.id);
    if (held === undefined || held.info.createdMs !== info.createdMs) this.#reorder();
  }

  #putPart(part: Part, at: number): void {
    const held = this.#parts.get(part.messageId)?.get(part.id);
    if (part.id === "" || (held !== undefined && held.at > at)) return;
    if (this.#adopt(part)) this.#hold(part.messageId, { part, at });
  }

  #putOpen(part: Part): void {
    const held = this.#parts.get(part.messageId)?.get(part.id);
    if (part.id === "" || (held !== undefined && held.at !== UNLOGGED)) return;
    if (this.#adopt(part)) this.#hold(part.messageId, { part, at: UNLOGGED });
  }

  /** Make sure that the window has the part's message. Return false if the message is outside the window. */
  #adopt(part: Part): boolean {
    if (this.#infos.has(part.messageId)) return true;
    if (part.messageId === "" || this.after !== null || this.#isPast(part.messageId)) return false;
    const info = infoOf({ id: part.messageId, sessionID: this.conversation, role: "assistant" });
    this.#infos.set(part.messageId, { info: { ...info, createdMs: Number.POSITIVE_INFINITY }, at: UNLOGGED });
    this.#changedMessages.add(part.messageId);
    this.#reorder();
    return true;
  }

  #hold(messageId: string, held: HeldPart): void {
    const parts = this.#parts.get(messageId) ?? new Map<string, HeldPart>();
    this.#parts.set(messageId, parts);
    const before = parts.get(held.part.id);
    parts.set(held.part.id, held);
    this.#messageOf.set(held.part.id, messageId);
    this.#changedParts.add(held.part.id);
    if (before === undefined || isShown(before.part) !== isShown(held.part)) this.#isReordered = true;
  }

  #drop(messageId: string): void {
    for (const partId of this.#parts.get(messageId)?.keys() ?? []) {
      this.#messageOf.delete(partId);
      this.#changedParts.add(partId);
    }
    this.#parts.delete(messageId);
    this.#infos.delete(messageId);
    this.#changedMessages.add(messageId);
    this.#reorder();
  }

  #forgetOpen(): void {
    for (const [messageId, parts] of this.#parts) {
      for (const [partId, held] of parts) {
        if (held.at !== UNLOGGED) continue;
        parts.delete(partId);
        this.#messageOf.delete(partId);
        this.#changedParts.add(partId);
        this.#isReordered = true;
      }
      if (parts.size === 0 && this.#infos.get(messageId)?.info.createdMs === Number.POSITIVE_INFINITY)
        this.#drop(messageId);
    }
  }

  #forgetAll(): void {
    for (const messageId of [...this.#infos.keys()]) this.#drop(messageId);
    this.#prompts.endTurn();
    this.before = null;
    this.after = null;
  }

  #reorder(): void {
    this.#order = null;
    this.#isReordered = true;
  }

  #compare(one: string, other: string): number {
    const left = this.#infos.get(one)?.info.createdMs ?? 0;
    const right = this.#infos.get(other)?.info.createdMs ?? 0;
    if (left !== right) return left < right ? -1 : 1;
    return one < other ? -1 : 1;
  }

  /** Whether a message of that time belongs to the window. */
  #isInside(createdMs: number): boolean {
    const ids = this.position === null ? [] : this.messages();
    const first = ids[0];
    const last = ids.at(-1);
    if (this.before !== null && first !== undefined && createdMs < (this.info(first)?.createdMs ?? 0)) return false;
    return !(this.after !== null && last !== undefined && createdMs > (this.info(last)?.createdMs ?? 0));
  }

  /** Whether a message that is not held lies before the window: OpenCode's ids ascend with time. */
  #isPast(messageId: string): boolean {
    const first = this.messages()[0];
    return this.before !== null && first !== undefined && messageId < first;
  }
}

function isShown(part: Part): boolean {
  return part.kind === "text" || part.kind === "reasoning" ? part.text !== "" : part.kind !== "step";
}

function openPart(open: OpenPart, conversation: string): Part {
  if (open.body !== null) return partOf(open.body);
  return partOf({
    id: open.partId,
    messageID: open.messageId,
    sessionID: conversation,
    type: open.type,
    text: open.text ?? "",
  });
}
