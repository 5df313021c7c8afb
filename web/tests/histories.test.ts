/** What the page makes of the frames of a real server is what that server says over REST. */
import { describe, expect, it } from "vitest";
import { type Page, Transcript } from "../src/core/transcript.ts";
import { FleetView, InboxView } from "../src/state/fleet.ts";
import type { ConversationItem, ServerFrame, SessionItem } from "../src/wire/types.ts";
import { HISTORIES, type History } from "./histories.ts";
import { random } from "./random.ts";

const NOTHING: Page = { messages: [], pagination: { before: null, after: null, total: 0 } };

function begun(history: History, conversation: string): Transcript {
  const transcript = new Transcript(history.sessionId, conversation);
  transcript.takePage(NOTHING, 0, "tail");
  return transcript;
}

function folded(history: History, conversation: string, frames: readonly ServerFrame[]): Transcript {
  const transcript = begun(history, conversation);
  for (const frame of frames) transcript.takeFrame(frame);
  return transcript;
}

/** Return all that a transcript shows. */
function shown(transcript: Transcript): unknown {
  return transcript.messages().map(id => [transcript.info(id), transcript.parts(id)]);
}

/** Return what a transcript shows but for what is being written: REST has the rest. */
function logged(transcript: Transcript): unknown {
  return transcript
    .messages()
    .map(id => [transcript.info(id), transcript.parts(id).filter(part => !transcript.isOpen(part.id))]);
}

/** Return the conversations of a session and what REST has of each. */
function conversations(history: History): readonly (readonly [string, Page])[] {
  const found = (history.ofSession("/conversations") ?? []) as readonly ConversationItem[];
  return found.map(({ id, parentId }) => {
    const path = parentId === null ? "/messages?limit=200" : `/messages?limit=200&conversation=${id}`;
    return [id, history.ofSession(path) as Page] as const;
  });
}

describe.each(HISTORIES.map(history => [history.name, history] as const))("%s", (_, history) => {
  const frames = history.frames("s");

  it("shows each conversation as REST has it", () => {
    for (const [id, page] of conversations(history)) {
      const read = new Transcript(history.sessionId, id);
      read.takePage(page, Number.MAX_SAFE_INTEGER, "tail");
      expect(read.messages().length).toBeGreaterThan(0);
      expect(logged(folded(history, id, frames))).toEqual(logged(read));
    }
  });

  it("shows the same after any cut, whatever is heard twice", () => {
    const pick = random(history.name.length);
    for (const [id, page] of conversations(history)) {
      const whole = shown(folded(history, id, frames));
      for (let turn = 0; turn < 40; turn++) {
        const cut = Math.floor(pick() * frames.length);
        const from = Math.floor(pick() * (cut + 1));
        expect(shown(folded(history, id, [...frames.slice(0, cut), ...frames.slice(from)]))).toEqual(whole);
        const late = folded(history, id, frames.slice(0, cut));
        late.takePage(page, Number.MAX_SAFE_INTEGER, "tail");
        for (const frame of frames.slice(from)) late.takeFrame(frame);
        expect(shown(late)).toEqual(whole);
      }
    }
  });

  it("writes nothing at the end, unless the agent waits for an answer", () => {
    for (const [id] of conversations(history)) {
      const transcript = folded(history, id, frames);
      const parts = transcript.messages().flatMap(message => transcript.parts(message));
      const requests = history.ofSession("/requests") as readonly unknown[];
      expect(parts.filter(part => transcript.isOpen(part.id)).length).toBe(requests.length);
      expect(transcript.retry).toBeNull();
    }
  });

  it("lists the sessions that REST lists", () => {
    const fleet = new FleetView();
    for (const frame of history.frames("f")) fleet.take(frame);
    const listed = history.rest("/api/sessions") as readonly SessionItem[];
    expect(listed.length).toBeGreaterThan(0);
    expect(new Set(fleet.sessions.keys.get())).toEqual(new Set(listed.map(item => item.id)));
    for (const item of listed) expect(fleet.sessions.get(item.id)).toEqual(item);
  });

  it("has the inbox that REST has", () => {
    const inbox = new InboxView();
    for (const frame of history.frames("i")) inbox.take(frame);
    expect(inbox.items.get()).toEqual(history.rest("/api/inbox"));
  });
});

it("forgets what is erased", () => {
  const history = HISTORIES.find(({ name }) => name === "erased");
  if (history === undefined) throw new Error("there is no such history");
  const created = history.frames("s").flatMap(frame => {
    if (frame.type !== "event" || frame.event.erased || frame.event.type !== "session.created") return [];
    return [frame.event.data.opencode_id];
  });
  const transcript = folded(history, created[0] ?? "", history.frames("s"));
  expect([transcript.isErased, transcript.messages()]).toEqual([true, []]);
  expect(history.ofSession("")).toBeNull();
});
