/**
 * Lines of a diff, folded where nothing changes, in slices of bounded size, with an index that finds any line.
 *
 * A diff is a list of runs: a number of common lines, then of removed lines, then of added lines. Line
 * numbers count from 1; 0 means "not on this side".
 */

export type Side = "before" | "after";
export type View = "split" | "unified";

export type Run = { readonly same: number; readonly del: number; readonly add: number };

export type LineDiff = {
  readonly before: readonly string[];
  readonly after: readonly string[];
  readonly runs: readonly Run[];
};

export type Row = { readonly kind: "same" | "del" | "add" | "pair"; readonly before: number; readonly after: number };

/** Unchanged lines, which are not shown. `gap` is its index, first lines count from 1. */
export type Fold = {
  readonly type: "fold";
  readonly key: string;
  readonly gap: number;
  readonly before: number;
  readonly after: number;
  readonly count: number;
  /** Whether there is a change above and below, from which it can be opened. */
  readonly hasAbove: boolean;
  readonly hasBelow: boolean;
};

export type Slice = { readonly type: "slice"; readonly key: string; readonly rows: readonly Row[] };
export type Item = Slice | Fold;

/** How many lines of a gap are shown below the change above it, and above the change below it. */
export type Opened = { readonly top: number; readonly bottom: number };
export type Openings = ReadonlyMap<number, Opened>;

export const CONTEXT_LINES = 3;
export const EXPAND_LINES = 20;
/** Up to this number, hidden lines take no more room than the note that says so. */
const FOLD_MIN = 2;
/** The height of a line that is not wrapped. */
export const LINE_PX = 20;
/** Rows of a slice: it is what is mounted at a time, so a screen holds two or three. */
export const SLICE_ROWS = 60;

type Gap = { readonly gap: number; readonly before: number; readonly after: number; readonly count: number };

/** Return the items of a diff in order. */
export function itemsOf(diff: LineDiff, view: View, openings: Openings = new Map()): readonly Item[] {
  const items: Item[] = [];
  let rows: Row[] = [];
  const flush = (): void => {
    for (let at = 0; at < rows.length; at += SLICE_ROWS) items.push(sliceOf(rows.slice(at, at + SLICE_ROWS)));
    rows = [];
  };
  let before = 1;
  let after = 1;
  diff.runs.forEach((run, gap) => {
    const isLast = gap === diff.runs.length - 1 && run.del === 0 && run.add === 0;
    const fold = foldOf({ gap, before, after, count: run.same }, isLast, openings);
    const top = fold ? fold.before - before : run.same;
    pushSame(rows, before, after, top);
    if (fold) {
      flush();
      items.push(fold);
      pushSame(rows, fold.before + fold.count, fold.after + fold.count, run.same - top - fold.count);
    }
    before += run.same;
    after += run.same;
    pushChanged(rows, before, after, run, view);
    before += run.del;
    after += run.add;
  });
  flush();
  return items;
}

function sliceOf(rows: readonly Row[]): Slice {
  const first = rows[0];
  return { type: "slice", key: `s${first?.before ?? 0}.${first?.after ?? 0}`, rows };
}

/** Return the hidden part of a gap; null if all of it is shown. */
function foldOf(gap: Gap, isLast: boolean, openings: Openings): Fold | null {
  const opened = openings.get(gap.gap);
  const top = Math.max(gap.gap === 0 ? 0 : CONTEXT_LINES, opened?.top ?? 0);
  const bottom = Math.max(isLast ? 0 : CONTEXT_LINES, opened?.bottom ?? 0);
  const count = gap.count - top - bottom;
  if (count <= FOLD_MIN) return null;
  return {
    type: "fold",
    key: `f${gap.gap}`,
    gap: gap.gap,
    before: gap.before + top,
    after: gap.after + top,
    count,
    hasAbove: gap.gap > 0,
    hasBelow: !isLast,
  };
}

function pushSame(rows: Row[], before: number, after: number, count: number): void {
  for (let index = 0; index < count; index += 1)
    rows.push({ kind: "same", before: before + index, after: after + index });
}

function pushChanged(rows: Row[], before: number, after: number, run: Run, view: View): void {
  const pairs = view === "split" ? Math.min(run.del, run.add) : 0;
  for (let index = 0; index < pairs; index += 1)
    rows.push({ kind: "pair", before: before + index, after: after + index });
  for (let index = pairs; index < run.del; index += 1) rows.push({ kind: "del", before: before + index, after: 0 });
  for (let index = pairs; index < run.add; index += 1) rows.push({ kind: "add", before: 0, after: after + index });
}

/** Return the openings with more of a gap shown: lines below the change above, above the change below, or all. */
export function opened(
  openings: Openings,
  fold: Fold,
  from: "above" | "below" | "all",
  lines = EXPAND_LINES,
): Openings {
  const old = openings.get(fold.gap) ?? { top: 0, bottom: 0 };
  const top = Math.max(old.top, fold.hasAbove ? CONTEXT_LINES : 0);
  const bottom = Math.max(old.bottom, fold.hasBelow ? CONTEXT_LINES : 0);
  const next = {
    top: from === "below" ? top : top + (from === "all" ? fold.count : lines),
    bottom: from === "below" ? bottom + lines : bottom,
  };
  return new Map([...openings, [fold.gap, next]]);
}

export type Place = { readonly item: number; readonly row: number };

/** Return the place of a line; null if the side has no such line. A line in a fold has `row` -1. */
export function placeOf(items: readonly Item[], side: Side, line: number): Place | null {
  for (let item = 0; item < items.length; item += 1) {
    const each = items[item];
    if (each === undefined) continue;
    if (each.type === "fold") {
      if (line >= each[side] && line < each[side] + each.count) return { item, row: -1 };
      continue;
    }
    const last = each.rows.findLast(row => row[side] > 0);
    if (last === undefined || last[side] < line) continue;
    const row = each.rows.findIndex(found => found[side] === line);
    if (row >= 0) return { item, row };
  }
  return null;
}

/** Return the openings that show a line of a fold, with its neighbours. */
export function revealed(openings: Openings, fold: Fold, side: Side, line: number): Openings {
  const fromTop = line - fold[side] + 1;
  const fromBottom = fold.count - fromTop + 1;
  const isNearBelow = fold.hasBelow && (fromBottom < fromTop || !fold.hasAbove);
  return isNearBelow
    ? opened(openings, fold, "below", fromBottom + CONTEXT_LINES)
    : opened(openings, fold, "above", fromTop + CONTEXT_LINES);
}

/** For each line of a side, from 1, the line of the other that it was changed from or to; 0 for none. */
export type Partners = Readonly<Record<Side, Int32Array>>;

/** Pair changed lines in their order: words are compared between them. */
export function partnersOf(diff: LineDiff): Partners {
  const partners = {
    before: new Int32Array(diff.before.length + 1),
    after: new Int32Array(diff.after.length + 1),
  };
  let before = 1;
  let after = 1;
  for (const run of diff.runs) {
    before += run.same;
    after += run.same;
    for (let index = 0; index < Math.min(run.del, run.add); index += 1) {
      partners.before[before + index] = after + index;
      partners.after[after + index] = before + index;
    }
    before += run.del;
    after += run.add;
  }
  return partners;
}

/** The line of the reader's cursor. */
export type Spot = { readonly side: Side; readonly line: number };

/** Return the name of a line as react-diff-view has it: each line of a diff has one of its own. */
export function keyOf(row: Row, side: Side): string {
  if (row.kind === "same") return `N${row.before}`;
  return side === "before" ? `D${row.before}` : `I${row.after}`;
}

/** Return the key of a line that is shown; null if it is folded or does not exist. */
export function keyAt(items: readonly Item[], { side, line }: Spot): string | null {
  const place = placeOf(items, side, line);
  const item = place && items[place.item];
  const row = item?.type === "slice" ? item.rows[place?.row ?? -1] : undefined;
  return row ? keyOf(row, side) : null;
}

/** Return the spot that many rows further, past folds, on the same side if the row has it. */
export function moved(items: readonly Item[], spot: Spot, by: number, prefers: Side): Spot {
  const rows = items.flatMap(item => (item.type === "slice" ? item.rows : []));
  const at = rows.findIndex(row => row[spot.side] === spot.line);
  const row = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
  return row ? spotOf(row, prefers) : spot;
}

/** Return the spot of a row, on this side if the row has it. */
export function spotOf(row: Row, prefers: Side): Spot {
  const side = row[prefers] > 0 ? prefers : prefers === "before" ? "after" : "before";
  return { side, line: row[side] };
}

/** Return the first line that is changed; null if there is none. */
export function firstChange(items: readonly Item[]): Spot | null {
  for (const item of items) {
    const row = item.type === "slice" ? item.rows.find(each => each.kind !== "same") : undefined;
    if (row) return spotOf(row, "after");
  }
  return null;
}
