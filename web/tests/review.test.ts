import { describe, expect, test } from "vitest";
import {
  type Anchor,
  anchorAt,
  type Comment,
  decodeReview,
  findAnchor,
  NO_REVIEW,
  promptOf,
  unsent,
} from "../src/core/review.ts";
import { random, whole } from "./random.ts";

function comment(over: Partial<Comment> = {}): Comment {
  const anchor = anchorAt(["a", "b()", "c"], "after", 2, 2);
  const words = { text: "Why?", draft: null, atMs: 0, state: "open", sentMs: null } as const;
  return { id: "1", file: "src/a.py", ...anchor, ...words, ...over };
}

describe("an anchor", () => {
  test("moves with its line under random edits elsewhere, or is stale where the line is gone", () => {
    for (let seed = 0; seed < 500; seed += 1) {
      const next = random(seed);
      const tagged = Array.from({ length: whole(next, 5, 60) }, (_, id) => ({ id, text: `value ${id} = ${next()}` }));
      const from = whole(next, 1, tagged.length);
      const to = Math.min(tagged.length, from + whole(next, 0, 2));
      const anchor = anchorAt(
        tagged.map(line => line.text),
        "after",
        from,
        to,
      );
      const own = tagged.slice(from - 1, to).map(line => line.id);
      const edited = [...tagged];
      for (let edit = whole(next, 0, 12); edit > 0; edit -= 1)
        edited.splice(whole(next, 0, edited.length), whole(next, 0, 2), { id: -edit, text: `new ${next()}` });
      const at = edited.findIndex(line => line.id === own[0]);
      const isWhole = at >= 0 && own.every((id, index) => edited[at + index]?.id === id);
      const found = findAnchor(
        anchor,
        edited.map(line => line.text),
      );
      expect(found).toEqual(isWhole ? { from: at + 1, to: at + own.length } : null);
    }
  });

  test("never stands on another text, however alike the lines are", () => {
    for (let seed = 0; seed < 500; seed += 1) {
      const next = random(seed);
      const line = (): string => ["}", "", "  return x", "  x += 1", "if (x) {"][whole(next, 0, 4)] ?? "";
      const lines = Array.from({ length: whole(next, 1, 40) }, line);
      const from = whole(next, 1, lines.length);
      const anchor = anchorAt(lines, "after", from, from);
      expect(findAnchor(anchor, lines)).toEqual({ from, to: from });
      const edited = [...lines];
      for (let edit = whole(next, 0, 8); edit > 0; edit -= 1)
        edited.splice(whole(next, 0, edited.length), whole(next, 0, 2), line());
      const found = findAnchor(anchor, edited);
      if (found) expect(edited[found.from - 1]).toBe(anchor.quote[0]);
    }
  });

  test("a brace needs a neighbour that agrees", () => {
    const anchor = anchorAt(["if a {", "  go()", "}"], "after", 3, 3);
    expect(findAnchor(anchor, ["new", "if a {", "  go()", "}"])).toEqual({ from: 4, to: 4 });
    expect(findAnchor(anchor, ["if b {", "  stop()", "}"])).toBeNull();
  });

  test("a line alone in its file is found by itself", () => {
    const anchor = anchorAt(["x"], "after", 1, 1);
    expect(findAnchor(anchor, ["y", "x"])).toEqual({ from: 2, to: 2 });
  });

  test("keeps no more of a long line than is needed to find it again", () => {
    const lines = ["a", "x".repeat(1_000_000), "b"];
    const anchor: Anchor = anchorAt(lines, "before", 2, 2);
    expect(anchor.quote[0]?.length).toBe(500);
    expect(findAnchor(anchor, lines)).toEqual({ from: 2, to: 2 });
  });
});

describe("a review", () => {
  test("becomes one prompt with places, lines and words", () => {
    const placed = [
      { comment: comment(), found: { from: 7, to: 7 } },
      { comment: comment({ quote: ["```"], text: "Close it.", side: "before", from: 1, to: 3 }), found: null },
    ];
    expect(promptOf(placed, "")).toBe(
      [
        "Please go through these review comments on your changes.",
        "**`src/a.py:7`**\n\n```\nb()\n```\n\nWhy?",
        "**`src/a.py:1-3 (before the change)`** (this line has changed since)\n\n````\n```\n````\n\nClose it.",
      ].join("\n\n"),
    );
    expect(promptOf(placed, "Two things:")).toMatch(/^Two things:\n/);
  });

  test("has only what is open and saved in the next prompt", () => {
    const all = [
      comment(),
      comment({ id: "2", text: "", draft: "not yet" }),
      comment({ id: "3", state: "resolved" }),
      comment({ id: "4", state: "sent" }),
    ];
    expect(unsent(all).map(each => each.id)).toEqual(["1"]);
  });

  test("comes back from storage, without what is broken", () => {
    const review = { comments: [comment()], viewed: { "src/a.py": "1 2" } };
    expect(decodeReview(JSON.stringify(review))).toEqual(review);
    const broken = { comments: [comment(), { id: 7 }, null], viewed: { a: 1 } };
    expect(decodeReview(JSON.stringify(broken))).toEqual({ comments: [comment()], viewed: {} });
    for (const text of [null, "{", "null", "[]", "7"]) expect(decodeReview(text)).toEqual(NO_REVIEW);
  });
});
