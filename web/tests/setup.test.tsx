import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import { sentence } from "../src/core/sentences.ts";
import { hasProcess, isInTurn } from "../src/core/status.ts";
import { lastLine } from "../src/core/text.ts";
import { SetupCommands } from "../src/widgets/setup-acts.tsx";
import type { SetupItem } from "../src/wire/types.ts";
import { session } from "./sessions.ts";

const SETUP: SetupItem = {
  status: "held",
  exitCode: null,
  detail: "",
  startedAt: null,
  endedAt: null,
  digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
  setup: "npm ci",
  teardown: "docker compose down",
  submodules: true,
};

test("all that would run is shown with the digest of its file", () => {
  const shown = renderToStaticMarkup(<SetupCommands setup={SETUP} />);
  for (const words of ["git submodule update --init --recursive\nnpm ci", "docker compose down", SETUP.digest])
    expect(shown).toContain(words);
});

test("commands cannot read otherwise than they are", () => {
  const shown = renderToStaticMarkup(<SetupCommands setup={{ ...SETUP, setup: "echo \u202eevil\u001b[2J" }} />);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
  expect(shown).not.toMatch(/[\u202e\u001b]/);
});

test("a session whose set-up waits for a person is in no turn", () => {
  const waits = session("a", { status: "waiting_input" });
  expect([isInTurn(waits), hasProcess(waits)]).toEqual([true, true]);
  const held = { ...waits, setup: SETUP };
  expect([isInTurn(held), hasProcess(held)]).toEqual([false, false]);
});

test.each([
  ["a\nb\n\n", "b"],
  ["10 %\r50 %\r99 %", "99 %"],
  ["", ""],
])("the last line of %j is %j", (text, line) => {
  expect(lastLine(text)).toBe(line);
});

test("the log says how a set-up went", () => {
  const about = { position: 1, stream: "session-1", version: 1, at: "", actor: "local" };
  const ended = (exit_code: number | null, detail: string) =>
    sentence({ ...about, type: "session.setup-ended", data: { exit_code, detail, at_ms: 0 } });
  expect(ended(0, "")).toBe("The workspace was set up");
  expect(ended(1, "exit code 1")).toBe("The set-up failed: exit code 1");
});
