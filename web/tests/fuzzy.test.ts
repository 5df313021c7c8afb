import { describe, expect, test } from "vitest";
import { fuzzy } from "../src/core/fuzzy.ts";
import { chance } from "./sessions.ts";

/** Return the texts that match, the best first. */
const best = (query: string, ...texts: string[]): string[] =>
  texts
    .flatMap(text => {
      const match = fuzzy(query, text);
      return match === null ? [] : [{ text, score: match.score }];
    })
    .sort((one, other) => other.score - one.score)
    .map(each => each.text);

describe("a few letters", () => {
  test("find the beginning of a word before its middle, and that before scattered letters", () => {
    expect(best("par", "The parser", "Separate", "Plan a route", "Docs")).toEqual([
      "The parser",
      "Separate",
      "Plan a route",
    ]);
  });

  test("need every word, in any order", () => {
    expect(best("end log", "Login endpoint", "Login", "The end")).toEqual(["Login endpoint"]);
  });

  test("mean the shorter of two", () => {
    expect(best("fix", "Fix the typo in the docs", "Fix it")).toEqual(["Fix it", "Fix the typo in the docs"]);
  });

  test("name the stretches that they hit", () => {
    expect(fuzzy("end log", "Login endpoint")?.marks).toEqual([
      [0, 3],
      [6, 9],
    ]);
    expect(fuzzy("", "Login")?.marks).toEqual([]);
  });

  test("hit only what is there: the marked letters are the query's", () => {
    const random = chance(5);
    const letters = "abc d";
    const word = (most: number): string =>
      Array.from({ length: 1 + Math.floor(random() * most) }, () => letters[Math.floor(random() * 5)]).join("");
    for (let round = 0; round < 2000; round += 1) {
      const text = word(14);
      const query = word(4).replaceAll(" ", "");
      const match = fuzzy(query, text);
      if (match === null) continue;
      expect(match.marks.map(([from, to]) => text.slice(from, to)).join("")).toBe(query);
    }
  });
});
