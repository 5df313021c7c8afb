/** Commands over a connection that breaks: each is carried out once, and its sender learns how it went. */
import { expect, test } from "vitest";
import { Commands, Refused } from "../src/state/commands.ts";
import type { ClientFrame, ServerFrame } from "../src/wire/types.ts";

type Command = Extract<ClientFrame, { type: "command" }>;

/** A connection that is there or not, and what was sent over it. */
type Line = { readonly commands: Commands; readonly sent: Command[]; isOpen: boolean };

function connection(): Line {
  const sent: Command[] = [];
  const line: Line = {
    sent,
    isOpen: true,
    commands: new Commands(frame => {
      if (line.isOpen) sent.push(frame as Command);
      return line.isOpen;
    }),
  };
  return line;
}

function reply(id: string | undefined, body: unknown): ServerFrame {
  return { type: "reply", id, status: 200, position: 7, body } as ServerFrame;
}

test("a command that had no answer is sent again under its key", async () => {
  const line = connection();
  const answer = line.commands.run("POST", "/api/sessions/x/prompt", { text: "go" });
  line.isOpen = false;
  line.commands.resend();
  line.isOpen = true;
  line.commands.resend();
  expect(line.sent).toHaveLength(2);
  expect(line.sent[1]).toEqual(line.sent[0]);
  line.commands.take(reply(line.sent[0]?.id, "done"));
  expect((await answer).body).toBe("done");
});

test("a command that was answered is not sent again", async () => {
  const line = connection();
  const answer = line.commands.run("POST", "/api/x");
  line.commands.take(reply(line.sent[0]?.id, 1));
  await answer;
  line.commands.resend();
  expect(line.sent).toHaveLength(1);
});

test("each command has a key of its own", () => {
  const line = connection();
  for (let index = 0; index < 100; index += 1) void line.commands.run("POST", "/api/x");
  expect(new Set(line.sent.map(each => each.idempotencyKey)).size).toBe(100);
});

test("nothing is kept for later while the server is away", async () => {
  const line = connection();
  line.isOpen = false;
  await expect(line.commands.run("POST", "/api/x")).rejects.toThrow(Refused);
  line.isOpen = true;
  line.commands.resend();
  expect(line.sent).toEqual([]);
});

test("a refusal is the server's problem, and answers for other ids are nobody's", async () => {
  const line = connection();
  const answer = line.commands.run("POST", "/api/x");
  const problem = { type: "about:blank", title: "No", status: 409, code: "busy", detail: "It is busy." };
  expect(line.commands.take({ type: "error", id: "other", problem } as ServerFrame)).toBe(false);
  expect(line.commands.take({ type: "error", id: line.sent[0]?.id, problem } as ServerFrame)).toBe(true);
  await expect(answer).rejects.toThrow("It is busy.");
});
