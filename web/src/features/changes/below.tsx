/** The parts between the lines: folds, comments, and the text of the current line for screen readers. */
import type { ReactNode } from "react";
import { type Fold, type Item, keyAt, placeOf, type Spot } from "../../core/hunks.ts";
import type { Compared } from "../../core/line-diff.ts";
import type { Placed } from "../../core/review.ts";
import { counted, plain } from "../../core/text.ts";
import { Button } from "../../ui/button.tsx";
import style from "./lines.module.css";
import type { Range } from "./selection.ts";
import { Thread } from "./thread.tsx";

export function FoldRow(props: {
  readonly fold: Fold;
  readonly open: (from: "above" | "below" | "all") => void;
}): ReactNode {
  const { fold, open } = props;
  const isShort = fold.count <= 20;
  return (
    <div className={style.fold}>
      <span>{counted(fold.count, "unchanged line")}</span>
      {fold.hasBelow && !isShort && (
        <Button
          size="small"
          kind="quiet"
          aria-label="Show 20 lines above the change below"
          onClick={() => open("below")}
        >
          ↑ 20
        </Button>
      )}
      {fold.hasAbove && !isShort && (
        <Button
          size="small"
          kind="quiet"
          aria-label="Show 20 lines below the change above"
          onClick={() => open("above")}
        >
          ↓ 20
        </Button>
      )}
      <Button
        size="small"
        kind="quiet"
        aria-label={`Show all ${fold.count} unchanged lines`}
        onClick={() => open("all")}
      >
        all
      </Button>
    </div>
  );
}

/** The text of the current line for screen readers. */
export function Spoken(props: {
  readonly diff: Compared;
  readonly spot: Spot | null;
  readonly range: Range | null;
}): ReactNode {
  const { diff, spot, range } = props;
  const text = spot ? plain(diff[spot.side][spot.line - 1] ?? "").slice(0, 200) : "";
  const side = spot?.side === "before" ? "old line" : "line";
  return (
    <span className="visually-hidden" aria-live="polite">
      {spot && `${range ? `lines ${range.from} to ${range.to}` : `${side} ${spot.line}`}: ${text || "blank"}`}
    </span>
  );
}

type ForThreads = Omit<Parameters<typeof Thread>[0], "placed" | "saysPlace">;
type Widgets = ReadonlyMap<number, Readonly<Record<string, ReactNode>>>;

/** Return the comments of each slice, by the key of the line above them. */
export function widgetsOf(items: readonly Item[], placed: readonly Placed[], forThreads: ForThreads): Widgets {
  const byKey = new Map<string, { readonly item: number; readonly placed: Placed[] }>();
  for (const each of placed) {
    if (each.found === null) continue;
    const spot = { side: each.comment.side, line: each.found.to };
    const item = placeOf(items, spot.side, spot.line)?.item;
    const key = keyAt(items, spot);
    if (item === undefined || key === null) continue;
    const at = byKey.get(key) ?? { item, placed: [] };
    at.placed.push(each);
    byKey.set(key, at);
  }
  const widgets = new Map<number, Record<string, ReactNode>>();
  for (const [key, at] of byKey) {
    const ofItem = widgets.get(at.item) ?? {};
    ofItem[key] = <Thread placed={at.placed} {...forThreads} />;
    widgets.set(at.item, ofItem);
  }
  return widgets;
}

/** Return the keys of the lines that are selected, by slice. */
export function selectedKeys(
  items: readonly Item[],
  spot: Spot | null,
  range: Range | null,
): ReadonlyMap<number, readonly string[]> {
  const keys = new Map<number, string[]>();
  if (spot === null) return keys;
  const { side, from, to } = range ?? { side: spot.side, from: spot.line, to: spot.line };
  for (let line = from; line <= to; line += 1) {
    const item = placeOf(items, side, line)?.item;
    const key = keyAt(items, { side, line });
    if (item !== undefined && key !== null) keys.set(item, [...(keys.get(item) ?? []), key]);
  }
  return keys;
}
