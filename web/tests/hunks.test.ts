import { describe, expect, test } from "vitest";
import { readText } from "../src/browser/workers/read-text.ts";
import {
  type Fold,
  firstChange,
  type Item,
  itemsOf,
  keyAt,
  moved,
  type Openings,
  opened,
  partnersOf,
  placeOf,
  type Row,
  revealed,
  SLICE_ROWS,
  type View,
} from "../src/core/hunks.ts";
import { type Compared, compare, type Text } from "../src/core/line-diff.ts";
import { patchOf } from "../src/core/patch.ts";
import { random, whole } from "./random.ts";

function text(...lines: string[]): Text {
  return { lines, endsWell: true, isForeign: false };
}

const VIEWS: readonly View[] = ["split", "unified"];

/** Two random texts of few kinds of lines, the second made from the first. */
function pair(seed: number): readonly [string[], string[]] {
  const next = random(seed);
  const word = (): string => `line ${whole(next, 0, 12)}${next() < 0.2 ? " " : ""}`;
  const before = Array.from({ length: whole(next, 0, 120) }, word);
  const after = [...before];
  for (let edit = whole(next, 0, 9); edit > 0; edit -= 1) {
    const at = whole(next, 0, after.length);
    after.splice(at, whole(next, 0, 3), ...Array.from({ length: whole(next, 0, 3) }, word));
  }
  return [before, after];
}

function rowsOf(items: readonly Item[]): readonly Row[] {
  return items.flatMap(item =>
    item.type === "slice"
      ? item.rows
      : Array.from({ length: item.count }, (_, index) => ({
          kind: "same" as const,
          before: item.before + index,
          after: item.after + index,
        })),
  );
}

function side(diff: Compared, which: "before" | "after", rows: readonly Row[]): string[] {
  return rows.filter(row => row[which] > 0).map(row => diff[which][row[which] - 1] ?? "?");
}

describe("comparing", () => {
  test("gives both sides back, whatever they are", () => {
    for (let seed = 0; seed < 300; seed += 1) {
      const [before, after] = pair(seed);
      const diff = compare(text(...before), text(...after), false);
      for (const view of VIEWS) {
        const rows = rowsOf(itemsOf(diff, view));
        expect(side(diff, "before", rows)).toEqual(before);
        expect(side(diff, "after", rows)).toEqual(after);
        for (const row of rows.filter(each => each.kind === "same"))
          expect(diff.before[row.before - 1]).toBe(diff.after[row.after - 1]);
      }
    }
  });

  test("counts a last line without a newline as another line", () => {
    const torn = { ...text("a", "b"), endsWell: false };
    expect(compare(text("a", "b"), torn, false).runs).toEqual([{ same: 1, del: 1, add: 1 }]);
    expect(compare(text("a", "b"), torn, true).runs).toEqual([{ same: 2, del: 0, add: 0 }]);
  });

  test("takes lines that differ in blanks for the same when it is told to", () => {
    const diff = compare(text("if x:", "  a()", "b()"), text("if x:", "\ta( )", "c()"), true);
    expect(diff.runs).toEqual([{ same: 2, del: 1, add: 1 }]);
  });

  test("is done soon with two texts that have nothing in common", () => {
    const lines = (name: string): string[] => Array.from({ length: 20_000 }, (_, index) => `${name} ${index}`);
    const began = performance.now();
    expect(compare(text(...lines("a")), text(...lines("b")), false).runs).toHaveLength(1);
    expect(performance.now() - began).toBeLessThan(500);
  });
});

describe("folding", () => {
  const lines = Array.from({ length: 100 }, (_, index) => `line ${index + 1}`);
  const changed = lines.map((line, index) => (index === 49 ? "changed" : line));
  const diff = compare(text(...lines), text(...changed), false);
  const folds = (openings: Openings = new Map()): readonly Fold[] =>
    itemsOf(diff, "unified", openings).filter(item => item.type === "fold");

  test("leaves three lines around a change", () => {
    expect(folds().map(({ before, count }) => [before, count])).toEqual([
      [1, 46],
      [54, 47],
    ]);
  });

  test("opens from above, from below, or as a whole", () => {
    const [first, second] = folds();
    expect(folds(opened(new Map(), first as Fold, "below"))[0]?.count).toBe(26);
    expect(folds(opened(new Map(), second as Fold, "above"))[1]).toMatchObject({ before: 74, count: 27 });
    expect(folds(opened(new Map(), first as Fold, "all"))).toHaveLength(1);
  });

  test("any line is found exactly, and a folded one after its fold was opened", () => {
    for (const view of VIEWS)
      for (let line = 1; line <= 100; line += 1)
        for (const which of ["before", "after"] as const) {
          let openings: Openings = new Map();
          let place = placeOf(itemsOf(diff, view, openings), which, line);
          const fold = place && itemsOf(diff, view, openings)[place.item];
          if (fold?.type === "fold") openings = revealed(openings, fold, which, line);
          const items = itemsOf(diff, view, openings);
          place = placeOf(items, which, line);
          const item = items[place?.item ?? -1];
          expect(item?.type === "slice" && item.rows[place?.row ?? -1]?.[which]).toBe(line);
        }
    expect(placeOf(itemsOf(diff, "split"), "after", 101)).toBeNull();
  });

  test("slices hold no more than their share, and have names of their own", () => {
    const many = compare(text(), text(...Array.from({ length: 1_000 }, (_, index) => `${index}`)), false);
    const items = itemsOf(many, "split");
    expect(items.every(item => item.type === "fold" || item.rows.length <= SLICE_ROWS)).toBe(true);
    expect(new Set(items.map(item => item.key)).size).toBe(items.length);
  });

  test("a step goes from row to row, and past folds", () => {
    const items = itemsOf(diff, "split");
    expect(firstChange(items)).toEqual({ side: "after", line: 50 });
    expect(moved(items, { side: "after", line: 50 }, 1, "after")).toEqual({ side: "after", line: 51 });
    expect(moved(items, { side: "after", line: 50 }, 0, "before")).toEqual({ side: "before", line: 50 });
    expect(moved(items, { side: "after", line: 53 }, 5, "after")).toEqual({ side: "after", line: 53 });
    expect(keyAt(items, { side: "before", line: 50 })).toBe("D50");
    expect(keyAt(items, { side: "after", line: 1 })).toBeNull();
  });

  test("a changed line knows the one that it was", () => {
    const partners = partnersOf(diff);
    expect([partners.before[50], partners.after[50], partners.after[51]]).toEqual([50, 50, 0]);
  });
});

describe("reading bytes", () => {
  const encode = (content: string): Uint8Array => new TextEncoder().encode(content);

  test("an empty file has no lines, and CRLF stays", () => {
    expect(readText(null, false).lines).toEqual([]);
    expect(readText(encode(""), false).lines).toEqual([]);
    expect(readText(encode("a\r\nb"), false)).toEqual({ lines: ["a\r", "b"], endsWell: false, isForeign: false });
  });

  test("a character that a limit cut is left out, and other bytes are said to be no UTF-8", () => {
    expect(readText(encode("añ").subarray(0, 2), true)).toMatchObject({ lines: ["a"], isForeign: false });
    expect(readText(new Uint8Array([0x61, 0xe9]), false)).toMatchObject({ lines: ["aé"], isForeign: true });
  });
});

describe("a patch", () => {
  const file = {
    file: "src/a b.py",
    oldFile: null,
    status: "modified",
    modeBefore: "100644",
    modeAfter: "100644",
  } as const;

  test("has the hunk and says where a newline is missing", () => {
    const diff = compare(text("a", "b", "c"), { ...text("a", "B", "c"), endsWell: false }, false);
    expect(patchOf(file, diff)).toBe(
      [
        "diff --git a/src/a b.py b/src/a b.py",
        "--- a/src/a b.py",
        "+++ b/src/a b.py",
        "@@ -1,3 +1,3 @@",
        " a",
        "-b",
        "-c",
        "+B",
        "+c",
        "\\ No newline at end of file",
        "",
      ].join("\n"),
    );
  });

  test("tells of a new file, a mode and a rename", () => {
    const added = patchOf({ ...file, status: "added", modeBefore: null }, compare(text(), text("a"), false));
    expect(added).toContain("new file mode 100644\n--- /dev/null\n+++ b/src/a b.py\n@@ -0,0 +1,1 @@\n+a\n");
    const same = compare(text("a"), text("a"), false);
    const renamed = patchOf({ ...file, oldFile: 'o"ld', modeAfter: "100755" }, same);
    expect(renamed).toContain('old mode 100644\nnew mode 100755\nrename from "o\\"ld"\nrename to src/a b.py\n');
  });

  test("names a file that is not UTF-8 as git does", () => {
    const odd = { ...file, file: "caf\\xe9.txt", fileBytes: "caf\xe9.txt" };
    const patch = patchOf(odd, compare(text("a"), text("b"), false));
    expect(patch).toContain('--- "a/caf\\351.txt"\n+++ "b/caf\\351.txt"\n');
  });
});
