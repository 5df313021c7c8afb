import { describe, expect, test } from "vitest";
import { budgetOf, doingOf, toolMs } from "../src/core/doing.ts";
import { linesOf } from "../src/core/last-lines.ts";
import type { Activity } from "../src/wire/types.ts";
import { NOW, session } from "./sessions.ts";

const at = new Date(NOW).toISOString();
const activity = (kind: Activity["kind"], text: string, tool: string | null = null): Activity => ({
  kind,
  text,
  tool,
  at,
});

describe("what a session does", () => {
  test("is first of all what it asks, and then what went wrong", () => {
    const asks = session("a", { openRequests: 1, activity: activity("request", "rm -rf build", "bash") });
    expect(doingOf(asks)).toEqual({ kind: "ask", lead: "bash", text: "rm -rf build" });
    const failure = { code: "model_error", detail: "429 from the model", at };
    const failed = session("a", { status: "error", failure, activity: activity("text", "I shall") });
    expect(doingOf(failed)).toEqual({ kind: "trouble", lead: "", text: "429 from the model" });
    expect(doingOf({ ...failed, status: "active" })).toEqual({ kind: "text", lead: "", text: "I shall" });
  });

  test("says who speaks, and makes hostile text harmless", () => {
    expect(doingOf(session("a", { activity: activity("prompt", "Tidy\n\nit") }))).toMatchObject({
      lead: "you",
      text: "Tidy it",
    });
    expect(doingOf(session("a", { activity: activity("tool", "npm test", "bash") }))).toMatchObject({
      kind: "tool",
      lead: "bash",
    });
    expect(doingOf(session("a", { activity: activity("text", "\u001b[31mred\u202e") })).text).toBe("␛[31mred⟨U+202E⟩");
    expect(doingOf(session("a"))).toEqual({ kind: "none", lead: "", text: "" });
  });

  test("names the time of a tool once it has run for a while", () => {
    const runs = session("a", { status: "active", activity: activity("tool", "npm test", "bash") });
    expect(toolMs(runs, NOW + 9_000)).toBeNull();
    expect(toolMs(runs, NOW + 90_000)).toBe(90_000);
    expect(toolMs({ ...runs, status: "idle" }, NOW + 90_000)).toBeNull();
  });
});

test("the budget that is closest to its end is shown", () => {
  const item = session("a", { costUsd: 1, runningMs: 9 * 60_000, budget: { usd: 4, tokens: null, minutes: 10 } });
  expect(budgetOf(item)).toEqual({ used: 0.9, words: "90 % of 10 min" });
  expect(budgetOf(session("a"))).toBeNull();
});

test("the last lines are texts, prompts and tools; what cannot be read is left out", () => {
  const messages = [
    {
      info: { role: "user" },
      parts: [
        { id: "1", type: "text", text: "Tidy" },
        { id: "2", type: "text", text: "x", synthetic: true },
      ],
    },
    {
      info: { role: "assistant" },
      parts: [
        { id: "3", type: "step-start" },
        { id: "4", type: "tool", tool: "bash", state: { status: "running", input: { command: "npm test" } } },
        null,
        { type: "text", text: "no id" },
        { id: "5", type: "text", text: "a".repeat(700) },
      ],
    },
  ];
  const lines = linesOf(messages, 9);
  expect(lines.map(line => [line.id, line.kind, line.lead])).toEqual([
    ["1", "prompt", "you"],
    ["4", "tool", "bash"],
    ["5", "text", ""],
  ]);
  expect(lines[1]?.text).toBe("npm test");
  expect(lines[2]?.text.length).toBe(601);
  expect(linesOf(messages, 1).map(line => line.id)).toEqual(["5"]);
});
