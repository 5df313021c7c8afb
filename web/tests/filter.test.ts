import { describe, expect, test } from "vitest";
import { completionsOf } from "../src/core/completions.ts";
import { FILTER_KEYS, matches, parseFilter } from "../src/core/filter.ts";
import { chance, fleetOf, session } from "./sessions.ts";

const found = (query: string, ...items: ReturnType<typeof session>[]): string[] =>
  items.filter(item => matches(parseFilter(query), item)).map(item => item.id);

describe("the filter", () => {
  const parser = session("1", { title: "Parser", tags: ["ui-kit"], agent: "build", status: "active" });
  const login = session("2", { title: "Login endpoint", repository: "/work/core", status: "waiting_input" });

  test("finds words in title, repository, branch and tags, in any case", () => {
    expect(found("PARS", parser, login)).toEqual(["1"]);
    expect(found("core", parser, login)).toEqual(["2"]);
    expect(found("log end", parser, login)).toEqual(["2"]);
    expect(found('"endpoint login"', parser, login)).toEqual([]);
  });

  test("takes values from their beginning, commas as or, minus as not", () => {
    expect(found("tag:ui", parser, login)).toEqual(["1"]);
    expect(found("status:work,needs", parser, login)).toEqual(["1", "2"]);
    expect(found("-status:working", parser, login)).toEqual(["2"]);
    expect(found("is:needs", parser, login)).toEqual(["2"]);
    expect(found('status:"needs-you"', parser, login)).toEqual(["2"]);
  });

  test("names a key and a value that it does not know, and goes by the rest", () => {
    expect(parseFilter("stat:x Parser").trouble).toContain('There is no filter "stat:"');
    expect(found("stat:x Parser", parser, login)).toEqual(["1"]);
    expect(parseFilter("status:zzz").trouble).toContain('No status is called "zzz"');
    expect(parseFilter('"fix: it"').trouble).toBeNull();
  });

  test("is not troubled by a term that is being typed", () => {
    for (const query of ["status:", "status:wor", 'repo:"my', "-", "-tag:", '"']) {
      expect(parseFilter(query).trouble).toBeNull();
    }
    expect(found("status:", parser, login)).toEqual(["1", "2"]);
  });

  test("of many terms is what each term finds alone, in common", () => {
    const random = chance(7);
    const items = fleetOf(random, 120);
    const terms = ["pars", "status:idle", "-status:error,stop", "repo:shop", "tag:ui", "-is:child", "agent:b", "is:qu"];
    for (let round = 0; round < 200; round += 1) {
      const chosen = terms.filter(() => random() < 0.35);
      const one = new Set(found(chosen.join(" "), ...items));
      const each = chosen.map(term => new Set(found(term, ...items)));
      for (const item of items) expect(one.has(item.id)).toBe(each.every(ids => ids.has(item.id)));
    }
  });
});

describe("the completions", () => {
  const items = [
    session("1", { tags: ["ui", "two words"] }),
    session("2", { tags: ["ui"], repository: "/work/core" }),
    session("3", { tags: ["api"] }),
  ];

  test("are all keys at first, then the values with how many have them, the most frequent first", () => {
    expect(completionsOf("", items).map(each => each.label)).toEqual(Object.keys(FILTER_KEYS).map(key => `${key}:`));
    expect(completionsOf("Parser ta", items)).toEqual([{ query: "Parser tag:", label: "tag:", note: "tag" }]);
    expect(completionsOf("tag:", items).map(each => [each.label, each.note])).toEqual([
      ["ui", "2"],
      ["api", "1"],
      ["two words", "1"],
    ]);
  });

  test("keep what stands before, and quote what has a blank", () => {
    expect(completionsOf("x -tag:ui,tw", items)[0]?.query).toBe('x -tag:ui,"two words" ');
    expect(completionsOf("repo:c", items)[0]?.query).toBe("repo:core ");
  });

  test("end where a term is complete or its key is unknown", () => {
    expect(completionsOf("tag:ui", items)).toEqual([]);
    expect(completionsOf("foo:x", items)).toEqual([]);
  });
});
