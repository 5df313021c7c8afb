/** Markdown of agents: whatever is in it, the lexer ends soon, and the text is whole. */
import { describe, expect, test } from "vitest";
import { blocksOf } from "../src/core/blocks.ts";
import { blockTokens, tokensOf } from "../src/core/lex.ts";

const CHARS = 100_000;
const MS_MAX = 1_000; // half of it is the machine's; without a bound these take minutes or the whole stack

const HOSTILE: readonly (readonly [string, string])[] = [
  ["brackets", "["],
  ["images", "!["],
  ["links", "[a]("],
  ["emphasis", "**a"],
  ["more emphasis", "*_`["],
  ["struck", "~~a"],
  ["ticks", "`a "],
  ["quotes", "> "],
  ["lists in lists", "- "],
  ["numbers in numbers", "1. "],
  ["all nesting", "> - 1. "],
  ["tags", "<a "],
  ["comments", "<!--"],
  ["addresses", "http://"],
  ["mails", "a@"],
  ["references", "[a]: b\n"],
  ["pipes", "|a"],
  ["line ends", "\n"],
  ["items", "- a\n"],
];

function filled(pattern: string): string {
  return pattern.repeat(Math.ceil(CHARS / pattern.length)).slice(0, CHARS);
}

describe("100,000 characters", () => {
  test.each(HOSTILE)("of %s", (_, pattern) => {
    const text = filled(pattern);
    const beganMs = performance.now();
    const { closed, open } = blocksOf(text);
    for (const block of [...closed, open]) tokensOf(block);
    expect(performance.now() - beganMs).toBeLessThan(MS_MAX);
    expect([...closed, open].join("")).toBe(text);
  });

  test("of lists that are nested by spaces", () => {
    const text = Array.from({ length: 400 }, (_, depth) => `${" ".repeat(2 * depth)}- a`).join("\n");
    expect(tokensOf(text)).toBeNull();
  });
});

test("what people write is read", () => {
  expect(blockTokens("> a\n>> b\n\n- c\n  - d\n\n1. e")?.map(token => token.type)).toEqual([
    "blockquote",
    "space",
    "list",
    "space",
    "list",
  ]);
  expect(blockTokens(`a\n\n${"- ".repeat(40)}\n\nb`)?.map(token => token.type)).toContain("hr");
  expect(JSON.stringify(tokensOf("a **b** [c](https://d)"))).toContain('"strong"');
});

test("a long paragraph is a text", () => {
  const text = "**a** ".repeat(3_000);
  expect(JSON.stringify(tokensOf(text))).not.toContain('"strong"');
});
