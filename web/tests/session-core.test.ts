/** Small pure parts of the session's page: blocks, colours of terminals, small diffs, rows, the box for prompts. */
import { describe, expect, it } from "vitest";
import { firstLines, lastLines, runsOf } from "../src/core/ansi.ts";
import { blocksOf, NO_BLOCKS } from "../src/core/blocks.ts";
import { decoded } from "../src/core/entities.ts";
import { commandIn, completed, fits, mimeOf, triggerAt } from "../src/core/prompting.ts";
import { indexTurns, rowsOf, turnOf } from "../src/core/rows.ts";
import { readPatch, replaced } from "../src/core/small-diff.ts";
import { resultOf, shellOutput, subjectOf } from "../src/core/tools.ts";
import { Transcript } from "../src/core/transcript.ts";
import { partOf, type ToolPart } from "../src/wire/opencode.ts";
import type { TurnItem } from "../src/wire/types.ts";

describe("blocks of Markdown", () => {
  const text =
    "# A\n\nSome *words*\nhere.\n\n```py\nx = 1\n\ny = 2\n```\n\n- one\n- two\n\n  more\n\n| a |\n|---|\n| 1 |\n\nEnd";

  it("lose nothing, however the text comes", () => {
    for (const step of [1, 3, 7, 50]) {
      let blocks = NO_BLOCKS;
      for (let end = step; end < text.length + step; end += step) blocks = blocksOf(text.slice(0, end), blocks);
      expect([...blocks.closed, blocks.open].join("")).toBe(text);
    }
  });

  it("keep closed ones while the text grows", () => {
    const before = blocksOf("One\n\nTwo\n\nThr");
    const after = blocksOf("One\n\nTwo\n\nThree", before);
    expect(before.closed).toEqual(["One\n\n", "Two\n\n"]);
    expect(after.closed).toBe(before.closed);
  });

  it("start over where the text is another one", () => {
    const blocks = blocksOf("Other", blocksOf("One\n\nTwo"));
    expect(blocks).toEqual({ source: "Other", closed: [], open: "Other" });
  });

  it("keep a text with definitions whole", () => {
    expect(blocksOf("See [a]\n\nMore\n\n[a]: https://example.org").closed).toEqual([]);
  });
});

describe("terminal output", () => {
  it("becomes runs with colours, other sequences go", () => {
    expect(runsOf("a \u001b[1;31mred\u001b[0m b\u001b[2K")).toEqual([
      { text: "a ", colour: null, isBold: false },
      { text: "red", colour: "red", isBold: true },
      { text: " b", colour: null, isBold: false },
    ]);
  });

  it("leaves out colours that have no name", () => {
    expect(runsOf("\u001b[38;5;31mx\u001b[38;2;1;31;3my\u001b[32mz").map(run => [run.text, run.colour])).toEqual([
      ["xy", null],
      ["z", "green"],
    ]);
  });

  it("shows a line that was written over as it is at the end", () => {
    expect(runsOf("10 %\r50 %\rdone\r\nnext")[0]?.text).toBe("done\nnext");
  });

  it("shows deceptive characters", () => {
    expect(runsOf("a\u202eb\u0000")[0]?.text).toBe("a⟨U+202E⟩b␀");
  });

  it("is cut at lines", () => {
    expect(lastLines("1\n2\n3\n4\n", 2)).toEqual({ text: "3\n4", hidden: 2 });
    expect(lastLines("1\n2", 2)).toEqual({ text: "1\n2", hidden: 0 });
    expect(firstLines("1\n2\n3\n4\n", 2)).toEqual({ text: "1\n2", hidden: 2 });
    expect(firstLines("1", 2)).toEqual({ text: "1", hidden: 0 });
    expect(lastLines("", 2)).toEqual({ text: "", hidden: 0 });
  });
});

describe("small diffs", () => {
  it("are read from a patch", () => {
    const patch = readPatch("Index: a\n===\n--- a\n+++ a\n@@ -1,2 +1,2 @@\n same\n-old\n+new\n@@ -9 +9 @@\n-x\n");
    expect(patch.lines.map(line => line.kind)).toEqual(["same", "del", "add", "gap", "del"]);
    expect([patch.additions, patch.deletions]).toEqual([1, 2]);
  });

  it("leave out what is equal at both ends", () => {
    expect(replaced("a\nb\nc", "a\nB\nc").lines).toEqual([
      { kind: "del", text: "b" },
      { kind: "add", text: "B" },
    ]);
    expect(replaced("", "x\ny\n").additions).toBe(2);
    expect(replaced("a\na", "a").deletions).toBe(1);
  });
});

describe("the box for prompts", () => {
  it("finds commands at the beginning and files after a sign", () => {
    expect(triggerAt("/in", 3)).toEqual({ kind: "command", query: "in", from: 0, to: 3 });
    expect(triggerAt("see @src/a", 10)).toEqual({ kind: "file", query: "src/a", from: 4, to: 10 });
    expect(triggerAt("a@b", 3)).toBeNull();
    expect(triggerAt("say /in", 7)).toBeNull();
  });

  it("puts what was chosen where it was typed", () => {
    const trigger = triggerAt("see @sr and go", 7);
    expect(trigger && completed("see @sr and go", trigger, "src/a.py")).toEqual(["see @src/a.py and go", 14]);
  });

  it("calls commands that there are, and no others", () => {
    const names = new Set(["init"]);
    expect(commandIn("/init now\nplease", names)).toEqual({ command: "init", arguments: "now\nplease" });
    expect(commandIn("/etc/passwd is odd", names)).toBeNull();
  });

  it("knows what fits and what is taken", () => {
    expect(fits(14_000_000, 100, 20_971_520)).toBe(true);
    expect(fits(16_000_000, 100, 20_971_520)).toBe(false);
    expect([mimeOf("image/png", false), mimeOf("application/json", true), mimeOf("application/zip", false)]).toEqual([
      "image/png",
      "text/plain",
      null,
    ]);
  });
});

describe("the output of a command", () => {
  const part = (output: string) => tool("bash", { status: "completed", input: {}, output });

  it("is told apart from what OpenCode notes at its end", () => {
    const noted = part("one\ntwo\n\n<shell_metadata>\nUser aborted the command\n</shell_metadata>");
    expect(shellOutput(noted)).toEqual({ text: "one\ntwo", notes: "User aborted the command" });
    expect(shellOutput(part("<shell_metadata>\nA\nB\n</shell_metadata>"))).toEqual({ text: "", notes: "A\nB" });
  });

  it("stays as it is where the words stand in its middle", () => {
    const text = "<shell_metadata>\nx\n</shell_metadata>\nand more";
    expect(shellOutput(part(text))).toEqual({ text, notes: "" });
  });
});

function tool(name: string, state: Record<string, unknown>): ToolPart {
  const part = partOf({ id: "p", messageID: "m", sessionID: "s", type: "tool", tool: name, state });
  if (part.kind !== "tool") throw new Error("not a tool");
  return part;
}

describe("tool calls", () => {
  it("have a subject and a result on one line", () => {
    const bash = tool("bash", { status: "completed", input: { command: "npm test" }, metadata: { exit: 1 } });
    expect([subjectOf(bash, "/w"), resultOf(bash)]).toEqual(["npm test", "exit 1"]);
    expect(subjectOf(tool("edit", { input: { filePath: "/w/src/a.py" } }), "/w")).toBe("src/a.py");
    expect(resultOf(tool("grep", { metadata: { matches: 0 } }))).toBe("nothing found");
    expect(subjectOf(tool("mystery", { input: { a: 1 } }), "/w")).toBe('{"a":1}');
  });

  it("survive JSON that is not as expected", () => {
    for (const state of [null, 3, "x", { input: [], metadata: 7, time: "no" }]) {
      const part = tool("bash", state as Record<string, unknown>);
      expect([subjectOf(part, "/w"), resultOf(part)]).toEqual(["", ""]);
    }
    expect(partOf(null).kind).toBe("unknown");
    expect(partOf({ type: "hologram", id: "p", x: 1 })).toMatchObject({
      kind: "unknown",
      type: "hologram",
      json: { x: 1 },
    });
  });
});

describe("rows", () => {
  function turn(number: number, messageId: string, endedAt: string | null): TurnItem {
    return { number, messageId, endedAt, outcome: endedAt && "finished", prompt: "Go" } as unknown as TurnItem;
  }

  it("end each turn before the next begins", () => {
    const transcript = new Transcript("s", "ses");
    const user = (id: string, created: number) => ({
      info: { id, sessionID: "ses", role: "user", time: { created } },
      parts: [{ id: `${id}p`, messageID: id, sessionID: "ses", type: "text", text: "Go" }],
    });
    const answer = (id: string, created: number) => ({
      info: { id, sessionID: "ses", role: "assistant", time: { created } },
      parts: [
        { id: `${id}a`, messageID: id, sessionID: "ses", type: "step-start" },
        { id: `${id}b`, messageID: id, sessionID: "ses", type: "text", text: "Done" },
      ],
    });
    const messages = [user("m1", 1), answer("m2", 2), user("m3", 3), answer("m4", 4)];
    transcript.takePage({ messages, pagination: { before: null, after: null, total: 4 } }, 1, "tail");
    const turns = indexTurns([turn(1, "m1", "2026"), turn(2, "m3", null)]);
    expect(rowsOf(transcript, turns).map(row => row.key)).toEqual(["m1", "m2b", "turn-1", "m3", "m4b"]);
    const ended = indexTurns([turn(1, "m1", "2026"), turn(2, "m3", "2026")]);
    expect(rowsOf(transcript, ended).map(row => row.key)).toEqual(["m1", "m2b", "turn-1", "m3", "m4b", "turn-2"]);
  });

  it("belong to the last turn that began before their message", () => {
    const turns = indexTurns([turn(1, "m1", "2026"), turn(2, "m3", null)]);
    expect(["m0", "m1", "m2", "m3", "m4"].map(id => turnOf(turns, id)?.number)).toEqual([undefined, 1, 1, 2, 2]);
  });
});

describe("character references", () => {
  it("become characters, unknown and deceptive ones do not", () => {
    expect(decoded("a &amp;&lt; &#39;&#x27; &nope; & b")).toBe("a &< '' &nope; & b");
    expect(decoded("&#8238;&#x0;&#xD800;&#x110000;")).toBe("����");
  });
});
