/** The fold of a transcript: any cut, repetition and order of what is heard leads to what the server has. */
import { describe, expect, it } from "vitest";
import { type Page, Transcript } from "../src/core/transcript.ts";
import type { LoggedEvent, OpenPart, ServerFrame, Signal } from "../src/wire/types.ts";

const SESSION = "01-session";
const OWN = "ses_own";
const SUB = "ses_sub";

type Body = Readonly<Record<string, unknown>>;

function info(id: string, created: number, extra: Body = {}): Body {
  return { id, sessionID: OWN, role: "assistant", time: { created }, ...extra };
}

function part(id: string, messageID: string, text: string, extra: Body = {}): Body {
  return { id, messageID, sessionID: OWN, type: "text", text, ...extra };
}

function event(position: number, type: string, data: Body): ServerFrame {
  const logged = { position, stream: `session-${SESSION}`, version: position, type, at: "", actor: "local", data };
  return { type: "event", id: "s", position, event: logged as unknown as LoggedEvent };
}

function messageRecorded(position: number, body: Body): ServerFrame {
  return event(position, "session.message-recorded", { message_id: body.id, opencode_id: body.sessionID, body });
}

function partRecorded(position: number, body: Body): ServerFrame {
  return event(position, "session.part-recorded", { part_id: body.id, message_id: body.messageID, body });
}

function signal(fields: Body): ServerFrame {
  return { type: "signal", id: "s", signal: { sessionId: SESSION, conversation: OWN, ...fields } as unknown as Signal };
}

function partSignal(body: Body): ServerFrame {
  return signal({ type: "part", part: body });
}

function delta(partId: string, messageId: string, text: string): ServerFrame {
  return signal({ type: "delta", partId, messageId, field: "text", delta: text });
}

function snapshot(parts: readonly Partial<OpenPart>[]): ServerFrame {
  const sessions = [{ sessionId: SESSION, status: "active", parts }];
  return { type: "snapshot", id: "s", snapshot: { position: 0, sessions } } as unknown as ServerFrame;
}

function page(messages: Page["messages"], before: string | null = null, after: string | null = null): Page {
  return { messages, pagination: { before, after, total: messages.length } };
}

/** Return what a transcript shows: each message with the texts of its parts. */
function shown(transcript: Transcript): readonly (readonly [string, readonly string[]])[] {
  return transcript
    .messages()
    .map(id => [id, transcript.parts(id).map(each => (each.kind === "text" ? each.text : each.kind))] as const);
}

function fresh(): Transcript {
  const transcript = new Transcript(SESSION, OWN);
  transcript.takePage(page([]), 0, "tail");
  return transcript;
}

function folded(frames: readonly ServerFrame[]): Transcript {
  const transcript = fresh();
  for (const frame of frames) transcript.takeFrame(frame);
  return transcript;
}

const FRAMES: readonly ServerFrame[] = [
  event(1, "session.prompt-accepted", { prompt_id: "p1", text: "Go" }),
  event(2, "session.turn-started", { number: 1, prompt_id: "p1", message_id: "msg_1", part_ids: ["prt_1"], at_ms: 9 }),
  messageRecorded(3, info("msg_1", 10, { role: "user" })),
  partRecorded(4, part("prt_1", "msg_1", "Go")),
  partSignal(part("prt_2", "msg_2", "")),
  delta("prt_2", "msg_2", "Hel"),
  messageRecorded(5, info("msg_2", 20)),
  delta("prt_2", "msg_2", "lo"),
  partRecorded(6, part("prt_2", "msg_2", "Hello")),
  messageRecorded(7, info("msg_2", 20, { time: { created: 20, completed: 25 } })),
  partSignal({
    id: "prt_3",
    messageID: "msg_2",
    sessionID: OWN,
    type: "tool",
    tool: "bash",
    state: { status: "running" },
  }),
  partRecorded(8, {
    id: "prt_3",
    messageID: "msg_2",
    sessionID: OWN,
    type: "tool",
    tool: "bash",
    state: { status: "completed" },
  }),
  event(9, "session.turn-ended", { number: 1, outcome: "finished", evidence: "", at_ms: 30 }),
];

const END = [
  ["msg_1", ["Go"]],
  ["msg_2", ["Hello", "tool"]],
];

/** What REST answers when everything up to `position` has happened. */
function rest(position: number): Page {
  const infos = new Map<string, unknown>();
  const parts = new Map<string, Map<string, unknown>>();
  for (const frame of FRAMES) {
    if (frame.type !== "event" || frame.position > position) continue;
    const { type, data } = frame.event as unknown as { type: string; data: { body: Body } };
    if (type === "session.message-recorded") infos.set(String(data.body.id), data.body);
    if (type === "session.part-recorded") {
      const of = String(data.body.messageID);
      parts.set(of, (parts.get(of) ?? new Map()).set(String(data.body.id), data.body));
    }
  }
  return page([...infos].map(([id, body]) => ({ info: body, parts: [...(parts.get(id)?.values() ?? [])] })));
}

describe("a transcript", () => {
  it("replaces what an erased child had reported, where it is shown", () => {
    const transcript = folded([
      messageRecorded(1, info("msg_1", 10, { role: "user" })),
      partRecorded(2, part("prt_1", "msg_1", "what the child said")),
      event(3, "session.prompt-accepted", { prompt_id: "callback:c:2", text: "more of it" }),
      event(4, "session.callbacks-erased", {
        replaced: [
          { position: 2, payload: { part_id: "prt_1", message_id: "msg_1", body: part("prt_1", "msg_1", "erased") } },
          { position: 3, payload: { prompt_id: "callback:c:2", text: "erased too" } },
          {
            position: 9,
            payload: { part_id: "prt_9", message_id: "msg_9", body: part("prt_9", "msg_9", "elsewhere") },
          },
        ],
      }),
      event(5, "session.turn-started", {
        number: 1,
        prompt_id: "callback:c:2",
        message_id: "msg_2",
        part_ids: ["prt_2"],
        at_ms: 20,
      }),
    ]);
    expect(shown(transcript)).toEqual([
      ["msg_1", ["erased"]],
      ["msg_2", ["erased too"]],
    ]);
  });

  it("shows what the frames say", () => {
    expect(shown(folded(FRAMES))).toEqual(END);
  });

  it("shows text while it comes", () => {
    expect(shown(folded(FRAMES.slice(0, 6)))).toEqual([
      ["msg_1", ["Go"]],
      ["msg_2", ["Hel"]],
    ]);
  });

  it("is the same from any page on, with any frames heard again", () => {
    for (let read = 0; read <= 9; read += 1) {
      for (let from = 0; from <= read; from += 1) {
        const transcript = new Transcript(SESSION, OWN);
        transcript.takePage(rest(read), read, "tail");
        for (const frame of FRAMES)
          if (frame.type === "signal" || (frame.type === "event" && frame.position > from)) transcript.takeFrame(frame);
        expect(shown(transcript), `page at ${read}, frames after ${from}`).toEqual(END);
      }
    }
  });

  it("is the same where signals are lost and a snapshot comes instead", () => {
    for (let cut = 0; cut <= FRAMES.length; cut += 1) {
      const before = FRAMES.slice(0, cut);
      const lost = new Transcript(SESSION, OWN);
      lost.takePage(page([]), 0, "tail");
      for (const frame of before) if (frame.type === "event") lost.takeFrame(frame);
      lost.takeFrame(snapshot(openAfter(before)));
      lost.takeFrame(snapshot(openAfter(before)));
      for (const frame of FRAMES.slice(cut)) lost.takeFrame(frame);
      expect(shown(lost), `cut at ${cut}`).toEqual(END);
    }
  });

  it("never goes back to an older version", () => {
    const transcript = folded(FRAMES);
    for (const frame of FRAMES) transcript.takeFrame(frame);
    transcript.takePage(rest(4), 4, "before");
    expect(shown(transcript)).toEqual(END);
  });

  it("keeps other conversations and other sessions out", () => {
    const transcript = folded(FRAMES);
    transcript.takeFrame(messageRecorded(10, { ...info("msg_9", 90), sessionID: SUB }));
    transcript.takeFrame(partRecorded(11, { ...part("prt_9", "msg_9", "sub"), sessionID: SUB }));
    transcript.takeFrame(partSignal({ ...part("prt_8", "msg_8", "sub"), sessionID: SUB }));
    const foreign = signal({ type: "part", sessionId: "02-other", part: part("prt_7", "msg_7", "foreign") });
    transcript.takeFrame(foreign);
    const other = partRecorded(12, part("prt_6", "msg_6", "foreign"));
    if (other.type === "event")
      transcript.takeFrame({ ...other, event: { ...other.event, stream: "session-02-other" } });
    expect(shown(transcript)).toEqual(END);
  });

  it("folds a sub-agent's conversation by its own id", () => {
    const transcript = new Transcript(SESSION, SUB);
    transcript.takePage(page([]), 0, "tail");
    for (const frame of FRAMES) transcript.takeFrame(frame);
    transcript.takeFrame(messageRecorded(10, { ...info("msg_9", 90), sessionID: SUB }));
    transcript.takeFrame(partRecorded(11, { ...part("prt_9", "msg_9", "sub"), sessionID: SUB }));
    expect(shown(transcript)).toEqual([["msg_9", ["sub"]]]);
  });

  it("forgets open parts at the end of a turn, and prompts that OpenCode did not take", () => {
    const transcript = folded(FRAMES);
    transcript.takeFrame(event(10, "session.prompt-accepted", { prompt_id: "p2", text: "More" }));
    transcript.takeFrame(
      event(11, "session.turn-started", {
        number: 2,
        prompt_id: "p2",
        message_id: "msg_5",
        part_ids: ["prt_5"],
        at_ms: 50,
      }),
    );
    expect(shown(transcript).at(-1)).toEqual(["msg_5", ["More"]]);
    transcript.takeFrame(snapshot([]));
    expect(shown(transcript).at(-1)).toEqual(["msg_5", ["More"]]);
    transcript.takeFrame(partSignal(part("prt_6", "msg_6", "half")));
    transcript.takeFrame(event(12, "session.turn-failed", { number: 2, code: "x", detail: "", at_ms: 60 }));
    expect(shown(transcript)).toEqual(END);
  });

  it("keeps the text of a part that was cut once it is whole", () => {
    const transcript = fresh();
    const cut = { ...part("prt_2", "msg_2", "Hel"), truncated: true };
    transcript.takePage(page([{ info: info("msg_2", 20), parts: [cut] }]), 9, "tail");
    expect(transcript.part("prt_2")?.isCut).toBe(true);
    transcript.takeWhole(part("prt_2", "msg_2", "Hello"));
    expect(shown(transcript)).toEqual([["msg_2", ["Hello"]]]);
    transcript.takeWhole(part("prt_2", "msg_2", "Hullo"));
    expect(shown(transcript)).toEqual([["msg_2", ["Hello"]]]);
  });

  it("keeps a window, and goes on from its edges", () => {
    const transcript = fresh();
    const messages = Array.from({ length: 10 }, (_, index) => {
      const id = `msg_${10 + index}`;
      return { info: info(id, index), parts: [part(`prt_${10 + index}`, id, String(index))] };
    });
    transcript.takePage(page(messages.slice(5), "msg_15"), 1, "tail");
    transcript.takePage(page(messages.slice(0, 5)), 1, "before");
    expect(transcript.before).toBeNull();
    expect(transcript.messages()).toHaveLength(10);
    transcript.trim(6, "end");
    expect([transcript.before, transcript.messages()[0]]).toEqual(["msg_14", "msg_14"]);
    transcript.takePage(page(messages.slice(0, 4)), 1, "before");
    transcript.trim(6, "start");
    expect([transcript.after, transcript.messages().at(-1)]).toEqual(["msg_15", "msg_15"]);
    transcript.takeFrame(messageRecorded(5, info("msg_30", 30)));
    transcript.takeFrame(partSignal(part("prt_30", "msg_30", "later")));
    expect(transcript.messages().at(-1)).toBe("msg_15");
  });

  it("says what has changed", () => {
    const transcript = fresh();
    transcript.drain();
    transcript.takeFrame(partSignal(part("prt_2", "msg_2", "H")));
    expect(transcript.drain()).toEqual({ parts: new Set(["prt_2"]), messages: new Set(["msg_2"]), isReordered: true });
    transcript.takeFrame(delta("prt_2", "msg_2", "i"));
    expect(transcript.drain()).toEqual({ parts: new Set(["prt_2"]), messages: new Set(), isReordered: false });
  });

  it("is empty once the session is erased", () => {
    const transcript = folded([...FRAMES, event(10, "session.erased", { at_ms: 99 })]);
    expect([transcript.isErased, shown(transcript)]).toEqual([true, []]);
  });
});

/** The parts that are open after these frames, as the server has them in a snapshot. */
function openAfter(frames: readonly ServerFrame[]): readonly Partial<OpenPart>[] {
  const open = new Map<string, OpenPart>();
  for (const frame of frames) {
    if (frame.type === "signal" && frame.signal.type === "part") {
      const body = frame.signal.part as unknown as { id: string; messageID: string; type: string; text?: string };
      const isText = body.text !== undefined;
      open.set(body.id, {
        partId: body.id,
        messageId: body.messageID,
        type: body.type,
        text: body.text ?? null,
        body: isText ? null : (body as unknown as Record<string, unknown>),
        conversation: OWN,
      });
    } else if (frame.type === "signal" && frame.signal.type === "delta") {
      const before = open.get(frame.signal.partId);
      if (before) open.set(before.partId, { ...before, text: (before.text ?? "") + frame.signal.delta });
    } else if (frame.type === "event") {
      const { type, data } = frame.event as unknown as { type: string; data: { body?: Body } };
      if (type === "session.part-recorded") open.delete(String(data.body?.id));
      if (type === "session.turn-ended") open.clear();
    }
  }
  return [...open.values()];
}
