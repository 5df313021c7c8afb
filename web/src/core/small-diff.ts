/** Small diffs as tools make them: unified patches, and two texts of an edit. */

export type PatchLine = { readonly kind: "add" | "del" | "same" | "gap"; readonly text: string };
export type Patch = { readonly lines: readonly PatchLine[]; readonly additions: number; readonly deletions: number };

/** Read a unified patch of one file; lines that cannot be read with certainty are left out. */
export function readPatch(patch: string): Patch {
  const lines: PatchLine[] = [];
  let isIn = false;
  for (const line of patch.split("\n")) {
    if (line.startsWith("@@")) {
      if (isIn) lines.push({ kind: "gap", text: "" });
      isIn = true;
    } else if (isIn && /^[ +-]/.test(line)) {
      lines.push({ kind: kindOf(line), text: line.slice(1) });
    }
  }
  return counted(lines);
}

function kindOf(line: string): "add" | "del" | "same" {
  if (line.startsWith("+")) return "add";
  return line.startsWith("-") ? "del" : "same";
}

/** Return the change of a text to another, as removed and added lines; equal lines at both ends are left out. */
export function replaced(before: string, after: string): Patch {
  const old = linesOf(before);
  const fresh = linesOf(after);
  let head = 0;
  while (head < old.length && head < fresh.length && old[head] === fresh[head]) head += 1;
  let tail = 0;
  while (tail < old.length - head && tail < fresh.length - head && old.at(-1 - tail) === fresh.at(-1 - tail)) tail += 1;
  return counted([
    ...old.slice(head, old.length - tail).map(text => ({ kind: "del", text }) as const),
    ...fresh.slice(head, fresh.length - tail).map(text => ({ kind: "add", text }) as const),
  ]);
}

function linesOf(text: string): readonly string[] {
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}

function counted(lines: readonly PatchLine[]): Patch {
  const count = (kind: PatchLine["kind"]) => lines.filter(line => line.kind === kind).length;
  return { lines, additions: count("add"), deletions: count("del") };
}
