/**
 * The open transcripts and the recently closed ones: the newest page first, then the events as they happen.
 *
 * A transcript is followed while it is shown, and for 30 s after: switching between sessions costs
 * nothing. Five are kept; one that is opened again continues from its position, and the server sends what it missed.
 */

import { type Page, type Place, type Retry, Transcript } from "../core/transcript.ts";
import type { Info, Part } from "../wire/opencode.ts";
import type { ClientFrame, LoggedEvent, Problem, ServerFrame } from "../wire/types.ts";
import { api, read } from "./api.ts";
import { Refused } from "./commands.ts";
import type { Hub, Subscriber } from "./hub.ts";
import { isPresent } from "./presence.ts";
import { Cell, Keyed } from "./store.ts";

const KEPT = 5;
const MESSAGES_MAX = 600;
const PAGE = 60;
const LEAVE_AFTER_MS = 30_000;

export type Loading = "tail" | "before" | "after" | null;

/** Which conversation, and as of when: `at` is a log position, null for now. */
export type Which = {
  readonly sessionId: string;
  readonly conversation: string;
  readonly isOwn: boolean;
  readonly at: number | null;
};

type EventListener = (event: LoggedEvent) => void;

export class OpenTranscript implements Subscriber {
  readonly which: Which;
  readonly fold: Transcript;
  readonly parts = new Keyed<Part>();
  readonly infos = new Keyed<Info>();
  /** Grows whenever messages or parts came, went or moved. */
  readonly shape = new Cell(0);
  readonly loading = new Cell<Loading>("tail");
  readonly problem = new Cell<Problem | null>(null);
  readonly isLoaded = new Cell(false);
  readonly retry = new Cell<Retry | null>(null);
  readonly isErased = new Cell(false);
  /** Which cards the reader has opened or closed; rows are unmounted when they leave the screen. */
  readonly opened = new Map<string, boolean>();
  /** The end that the reader is at: when there are too many messages, those at the other end are dropped. */
  isAtEnd = true;
  readonly #hub: Hub;
  readonly #listeners = new Set<EventListener>();
  #unfollow: (() => void) | null = null;
  #leaving: ReturnType<typeof setTimeout> | undefined;
  #watchers = 0;
  #unheard: (() => void) | null = null;

  constructor(hub: Hub, which: Which) {
    this.#hub = hub;
    this.which = which;
    this.fold = new Transcript(which.sessionId, which.conversation);
  }

  readonly request = (id: string): Extract<ClientFrame, { type: "subscribe" }> => ({
    type: "subscribe",
    id,
    sessions: [this.which.sessionId],
    after: this.fold.position ?? 0,
  });

  readonly take = (frame: ServerFrame): void => {
    this.fold.takeFrame(frame);
    if (this.isAtEnd) this.fold.trim(MESSAGES_MAX, "end");
    this.#publish();
    if (frame.type === "event" && frame.event.stream === `session-${this.which.sessionId}`)
      for (const listener of this.#listeners) listener(frame.event);
  };

  /** Receive the session's events as they arrive. */
  listen(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Open it: load it if it is not loaded, and follow it. Return the function that closes it. */
  watch(): () => void {
    this.#watchers += 1;
    clearTimeout(this.#leaving);
    this.#unheard ??= isPresent.subscribe(() => isPresent.get() && this.#recover());
    if (this.isLoaded.get()) this.#follow();
    else void this.loadTail();
    return () => {
      this.#watchers -= 1;
      if (this.#watchers > 0) return;
      this.#unheard?.();
      this.#unheard = null;
      this.#leaving = setTimeout(() => this.close(), LEAVE_AFTER_MS);
    };
  }

  /** The server is reachable again: repeat the reads that failed. */
  #recover(): void {
    if (this.problem.get() === null) return;
    if (this.isLoaded.get()) this.problem.set(null);
    else void this.loadTail();
  }

  get isWatched(): boolean {
    return this.#watchers > 0;
  }

  /** Stop following it. */
  close(): void {
    clearTimeout(this.#leaving);
    this.#unfollow?.();
    this.#unfollow = null;
  }

  /** Read the newest page, and continue from there. */
  async loadTail(): Promise<void> {
    const wasFollowed = this.#unfollow !== null;
    this.isAtEnd = true;
    if (!(await this.#load("tail", "tail", {}))) return;
    this.isLoaded.set(true);
    // A new subscription sends the unfinished parts.
    if (wasFollowed) this.#hub.restart(this);
    else if (this.isWatched) this.#follow();
  }

  /** Read the page before the window. */
  async loadBefore(): Promise<void> {
    const { before } = this.fold;
    if (before === null || this.loading.get() !== null) return;
    await this.#load("before", "before", { before });
  }

  /** Read the page after the window; at the end, unfinished parts are shown again. */
  async loadAfter(): Promise<void> {
    const { after } = this.fold;
    if (after === null || this.loading.get() !== null) return;
    if (!(await this.#load("after", "after", { after }))) return;
    if (this.fold.after === null && this.#unfollow !== null) this.#hub.restart(this);
  }

  /** Read the complete content of a truncated part. Rejects with `Refused`. */
  async loadPart(partId: string): Promise<void> {
    const path = { session_id: this.which.sessionId, part_id: partId };
    const { body } = await read(api.GET("/api/sessions/{session_id}/parts/{part_id}", { params: { path } }));
    this.fold.takeWhole(body);
    this.#publish();
  }

  /** Load the page around a message that is outside the window. */
  async loadAround(messageId: string): Promise<void> {
    this.isAtEnd = false;
    await this.#load("tail", "around", { around: messageId });
  }

  async #load(loading: Exclude<Loading, null>, place: Place, query: Record<string, string>): Promise<boolean> {
    this.loading.set(loading);
    this.problem.set(null);
    try {
      const { body, position } = await read(fetchPage(this.which, query));
      this.fold.takePage(body as Page, position ?? 0, place);
      if (place === "before") this.fold.trim(MESSAGES_MAX, "start");
      if (place === "after") this.fold.trim(MESSAGES_MAX, "end");
      this.#publish();
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.problem.set(error.problem);
      return false;
    } finally {
      this.loading.set(null);
    }
  }

  #follow(): void {
    if (this.which.at !== null || this.#unfollow !== null) return;
    this.#unfollow = this.#hub.follow(this);
  }

  #publish(): void {
    const { parts, messages, isReordered } = this.fold.drain();
    for (const id of parts) put(this.parts, id, this.fold.part(id));
    for (const id of messages) put(this.infos, id, this.fold.info(id));
    this.retry.set(this.fold.retry);
    this.isErased.set(this.fold.isErased);
    if (isReordered) this.shape.set(this.shape.get() + 1);
  }
}

function put<Value>(store: Keyed<Value>, key: string, value: Value | undefined): void {
  if (value === undefined) store.delete(key);
  else store.set(key, value);
}

function fetchPage(which: Which, place: Record<string, string>): ReturnType<typeof api.GET> {
  const query = {
    limit: PAGE,
    cut: true,
    ...place,
    ...(which.isOwn ? {} : { conversation: which.conversation }),
    ...(which.at === null ? {} : { at: which.at }),
  };
  return api.GET("/api/sessions/{session_id}/messages", { params: { path: { session_id: which.sessionId }, query } });
}

/** The open transcripts; the one that was shown last comes last. */
export class Transcripts {
  readonly #hub: Hub;
  readonly #open = new Map<string, OpenTranscript>();

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  get(which: Which): OpenTranscript {
    const key = `${which.sessionId}/${which.conversation}@${which.at ?? "now"}`;
    const known = this.#open.get(key);
    const transcript = known ?? new OpenTranscript(this.#hub, which);
    this.#open.delete(key);
    this.#open.set(key, transcript);
    this.#letGo();
    return transcript;
  }

  #letGo(): void {
    for (const [key, transcript] of this.#open) {
      if (this.#open.size <= KEPT) return;
      if (transcript.isWatched) continue;
      transcript.close();
      this.#open.delete(key);
    }
  }
}

const known = new WeakMap<Hub, Transcripts>();

/** The transcripts over a connection. */
export function transcriptsOf(hub: Hub): Transcripts {
  const transcripts = known.get(hub) ?? new Transcripts(hub);
  known.set(hub, transcripts);
  return transcripts;
}
