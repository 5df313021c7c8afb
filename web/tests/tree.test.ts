import { describe, expect, test } from "vitest";
import { type Counted, filesOf, foldersAbove, rowsOf, treeOf } from "../src/core/tree.ts";
import { random, whole } from "./random.ts";

function file(path: string, additions = 1, deletions = 0): Counted {
  return { file: path, additions, deletions };
}

describe("the tree of files", () => {
  test("puts folders first, counts as people do, and joins folders that hold one folder alone", () => {
    const tree = treeOf([
      file("b.py"),
      file("a10.py"),
      file("a2.py"),
      file("src/deep/er/x.py", 2, 3),
      file("lib/y.py"),
    ]);
    const rows = rowsOf(tree, new Set());
    expect(rows.map(row => `${row.level} ${row.node.name}`)).toEqual([
      "1 lib",
      "2 y.py",
      "1 src/deep/er",
      "2 x.py",
      "1 a2.py",
      "1 a10.py",
      "1 b.py",
    ]);
    expect(rows[2]).toMatchObject({ place: 2, siblings: 5, node: { additions: 2, deletions: 3, files: 1 } });
    expect(rowsOf(tree, new Set(["src/deep/er"])).map(row => row.node.name)).not.toContain("x.py");
    expect(foldersAbove("src/deep/er/x.py")).toEqual(["src", "src/deep", "src/deep/er"]);
  });

  test("sums up to the whole, and has each file once", () => {
    for (let seed = 0; seed < 200; seed += 1) {
      const next = random(seed);
      const step = (): string => "abc"[whole(next, 0, 2)] ?? "a";
      const paths = new Set(
        Array.from({ length: whole(next, 0, 40) }, (_, index) =>
          [...Array.from({ length: whole(next, 0, 4) }, step), `f${index}`].join("/"),
        ),
      );
      const files = [...paths].map(path => file(path, whole(next, 0, 9), whole(next, 0, 9)));
      const tree = treeOf(files);
      const sum = (of: (item: Counted) => number, items: readonly Counted[]): number =>
        items.reduce((total, item) => total + of(item), 0);
      const top = tree.map(node => (node.kind === "file" ? node.item : { ...node, file: node.path }));
      expect(sum(item => item.additions, top)).toBe(sum(item => item.additions, files));
      expect(sum(item => item.deletions, top)).toBe(sum(item => item.deletions, files));
      expect(new Set(filesOf(tree))).toEqual(new Set(files));
      expect(rowsOf(tree, new Set()).filter(row => row.node.kind === "file")).toHaveLength(files.length);
    }
  });
});
