import { describe, expect, test } from "vitest";
import { piecesOf, type Token, wordChanges } from "../src/core/words.ts";
import { random, whole } from "./random.ts";

function marked(line: string, ranges: readonly (readonly [number, number])[]): string[] {
  return ranges.map(([from, to]) => line.slice(from, to));
}

describe("words", () => {
  test("that differ are found", () => {
    const before = "  return total(rows, places)";
    const after = "  return round(total(rows), 2)";
    const found = wordChanges(before, after);
    expect(marked(before, found?.before ?? [])).toEqual(["places"]);
    expect(marked(after, found?.after ?? [])).toEqual(["round(", ")", "2"]);
  });

  test("of lines that have little in common are not marked", () => {
    expect(wordChanges("import os", "class Parser:")).toBeNull();
    expect(wordChanges("same", "same")).toBeNull();
    expect(wordChanges("x ".repeat(2_000), "y")).toBeNull();
  });

  test("what is left without the marked ones is the same on both sides", () => {
    for (let seed = 0; seed < 300; seed += 1) {
      const next = random(seed);
      const line = (): string =>
        Array.from({ length: whole(next, 1, 14) }, () => ["foo", " ", "(", "bar", "é", "."][whole(next, 0, 5)]).join(
          "",
        );
      const [before, after] = [line(), line()];
      const found = wordChanges(before, after);
      if (found === null) continue;
      const rest = (text: string, ranges: readonly (readonly [number, number])[]): string =>
        piecesOf(text, [], ranges)
          .filter(piece => !piece.isMarked)
          .map(piece => piece.text)
          .join("")
          .replace(/\s/g, "");
      expect(rest(before, found.before)).toBe(rest(after, found.after));
    }
  });
});

describe("pieces", () => {
  test("make up the line, whatever its colours and marks", () => {
    for (let seed = 0; seed < 300; seed += 1) {
      const next = random(seed);
      const line = "abcdefghijklmnopqrstuvwxyz".slice(0, whole(next, 0, 26));
      const tokens: Token[] = Array.from({ length: whole(next, 0, 6) }, () => [whole(next, 0, 9), "keyword"]);
      const from = whole(next, 0, 10);
      const pieces = piecesOf(line, tokens, [
        [from, from + 2],
        [from + 4, from + 7],
      ]);
      expect(pieces.map(piece => piece.text).join("")).toBe(line);
      expect(
        pieces
          .filter(piece => piece.isMarked)
          .map(piece => piece.text)
          .join(""),
      ).toBe(line.slice(from, from + 2) + line.slice(from + 4, from + 7));
    }
  });
});
