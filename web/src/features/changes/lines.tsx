/** The lines of one file: slices in a virtual list, a line that the reader stands on, and comments below lines. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
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
  revealed,
  type Spot,
  type View,
} from "../../core/hunks.ts";
import type { Compared } from "../../core/line-diff.ts";
import { anchorAt, type Placed } from "../../core/review.ts";
import { counted, plain } from "../../core/text.ts";
import { useActions } from "../../state/actions.ts";
import { Button } from "../../ui/button.tsx";
import { sayError } from "../../ui/toast.tsx";
import style from "./lines.module.css";
import type { ReviewStore } from "./review-store.ts";
import { type Range, useSelection } from "./selection.ts";
import { type Colours, SliceView } from "./slice.tsx";
import { Thread } from "./thread.tsx";

type LinesProps = {
  readonly file: string;
  readonly diff: Compared;
  readonly view: View;
  readonly colours: Colours;
  readonly placed: readonly Placed[];
  readonly store: ReviewStore;
  readonly mayComment: boolean;
  /** The line to go to. */
  readonly goal: Spot | null;
  /** The reader left the lines with Escape. */
  readonly onLeave: () => void;
};

const LINE_PX = 20;
const FOLD_PX = 30;
const NO_KEYS: readonly string[] = [];
const NO_WIDGETS: Readonly<Record<string, ReactNode>> = {};

export function Lines(props: LinesProps): ReactNode {
  const { file, diff, view, colours, placed, store, mayComment, goal, onLeave } = props;
  const [openings, setOpenings] = useState<Openings>(new Map());
  const items = useMemo(() => itemsOf(diff, view, openings), [diff, view, openings]);
  const partners = useMemo(() => partnersOf(diff), [diff]);
  const scroller = useRef<HTMLElement>(null);
  const [fresh, setFresh] = useState<string | null>(null);
  const list = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    getItemKey: index => items[index]?.key ?? index,
    estimateSize: index => sizeOf(items[index]),
    overscan: 1,
  });
  const reach = useReach(scroller, items, list, setOpenings);

  const comment = (range: Range): void => {
    const anchor = anchorAt(diff[range.side], range.side, range.from, range.to);
    const id = store.begin(file, anchor);
    if (id === null) sayError("There are too many comments", "Send or delete some of them first.");
    setFresh(id);
  };
  const selection = useSelection(mayComment ? comment : null);
  const { spot, setSpot, range } = selection;

  useEffect(() => {
    if (goal === null) return;
    setSpot(goal);
    reach(goal, true);
  }, [goal, reach, setSpot]);

  const enter = (): void => {
    const start = spot ?? firstChange(items);
    if (start === null) return;
    setSpot(start);
    reach(start);
    scroller.current?.focus({ preventScroll: true });
  };
  const move = (by: number): void => {
    const next = spot && moved(items, spot, by, selection.prefers);
    if (next === null) enter();
    if (next === null || (range && next.side !== range.side)) return;
    setSpot(next);
    reach(next);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key];
    if (step !== undefined) move(step);
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight")
      selection.turn(items, event.key === "ArrowLeft" ? "before" : "after");
    else if (event.key === "Escape") range ? selection.clearRange() : leave();
    else return;
    event.preventDefault();
  };
  const leave = (): void => {
    setSpot(null);
    onLeave();
  };
  useActions([
    { id: "line.enter", label: "Go into the lines", run: enter },
    spot !== null &&
      mayComment && {
        id: "line.comment",
        label: "Comment on the line",
        run: () => comment(range ?? { side: spot.side, from: spot.line, to: spot.line }),
      },
    spot !== null && mayComment && { id: "line.range", label: "Select a range of lines", run: selection.startRange },
  ]);

  const close = useCallback(() => scroller.current?.focus({ preventScroll: true }), []);
  const widgets = useMemo(
    () => widgetsOf(items, placed, { store, mayComment, fresh, onClosed: close }),
    [items, placed, store, mayComment, fresh, close],
  );
  const selected = useMemo(() => selectedKeys(items, spot, range), [items, spot, range]);
  const isOneSided = diff.before.length === 0 || diff.after.length === 0;

  return (
    <section
      ref={scroller}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: the lines scroll, and keys move through them
      tabIndex={0}
      aria-label={`Lines of ${plain(file)}`}
      className={style.lines}
      data-comments={mayComment}
      onKeyDown={onKeyDown}
    >
      <Spoken diff={diff} spot={spot} range={range} />
      <div className={style.all} style={{ height: list.getTotalSize() }}>
        {list.getVirtualItems().map(row => {
          const item = items[row.index];
          if (item === undefined) return null;
          return (
            <div
              key={item.key}
              ref={list.measureElement}
              data-index={row.index}
              className={style.item}
              style={{ transform: `translateY(${row.start}px)` }}
            >
              {item.type === "fold" ? (
                <FoldRow fold={item} open={from => setOpenings(old => opened(old, item, from))} />
              ) : (
                <SliceView
                  rows={item.rows}
                  diff={diff}
                  view={view}
                  isOneSided={isOneSided}
                  partners={partners}
                  colours={colours}
                  selected={selected.get(row.index) ?? NO_KEYS}
                  widgets={widgets.get(row.index) ?? NO_WIDGETS}
                  events={selection.events}
                />
              )}
            </div>
          );
        })}
      </div>
    </section>
  );
}

const STEPS: Readonly<Record<string, number>> = {
  j: 1,
  ArrowDown: 1,
  k: -1,
  ArrowUp: -1,
  PageDown: 20,
  PageUp: -20,
};

function sizeOf(item: Item | undefined): number {
  return item?.type === "slice" ? item.rows.length * LINE_PX : FOLD_PX;
}

type List = Pick<ReturnType<typeof useVirtualizer>, "scrollToOffset" | "getOffsetForIndex">;

const TRIES_MAX = 30;

/**
 * Return what brings a line into sight, exactly: the fold that hides it is opened, its slice is mounted, and then the
 * line itself is measured. With `isGoal` it comes into the middle.
 */
function useReach(
  scroller: { readonly current: HTMLElement | null },
  items: readonly Item[],
  list: List,
  setOpenings: (change: (old: Openings) => Openings) => void,
): (spot: Spot, isGoal?: boolean) => void {
  const newest = useRef({ items, list });
  newest.current = { items, list };
  return useCallback(
    (spot, isGoal = false) => {
      let tries = 0;
      const look = (): void => {
        tries += 1;
        const box = scroller.current;
        const { items: now, list: rows } = newest.current;
        const place = placeOf(now, spot.side, spot.line);
        const item = place && now[place.item];
        if (box === null || !place || !item) return;
        if (item.type === "fold") setOpenings(old => revealed(old, item, spot.side, spot.line));
        else if (bring(box, keyAt(now, spot), isGoal)) return;
        else if (tries === 1 || tries === 10) {
          const start = rows.getOffsetForIndex(place.item, "start")?.[0] ?? 0;
          rows.scrollToOffset(Math.max(0, start + place.row * LINE_PX - box.clientHeight / 2));
        }
        if (tries < TRIES_MAX) requestAnimationFrame(look);
      };
      look();
    },
    [scroller, setOpenings],
  );
}

/** Scroll so that a line is seen. Return false where it is not mounted. */
function bring(box: HTMLElement, key: string | null, isGoal: boolean): boolean {
  const line = box.querySelector(`td[data-change-key="${key}"]`)?.parentElement;
  if (!line) return false;
  const top = line.getBoundingClientRect().top - box.getBoundingClientRect().top;
  const room = box.clientHeight - line.clientHeight;
  if (isGoal) box.scrollTop += top - room / 2;
  else if (top < LINE_PX) box.scrollTop += top - LINE_PX;
  else if (top > room - LINE_PX) box.scrollTop += top - room + LINE_PX;
  return true;
}

function FoldRow(props: { readonly fold: Fold; readonly open: (from: "above" | "below" | "all") => void }): ReactNode {
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

/** What a screen reader says of the line that the reader stands on. */
function Spoken(props: {
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

/** Return the comments of each slice, by the key of the line below which they stand. */
function widgetsOf(items: readonly Item[], placed: readonly Placed[], forThreads: ForThreads): Widgets {
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
function selectedKeys(
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
