/** The lines of one file: slices in a virtual list, the reader's current line, and comments below lines. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
import {
  firstChange,
  type Item,
  itemsOf,
  LINE_PX,
  moved,
  type Openings,
  opened,
  partnersOf,
  type Spot,
  type View,
} from "../../core/hunks.ts";
import type { Compared } from "../../core/line-diff.ts";
import { anchorAt, type Placed } from "../../core/review.ts";
import { plain } from "../../core/text.ts";
import { useActions } from "../../state/actions.ts";
import { sayError } from "../../ui/toast.tsx";
import { FoldRow, Spoken, selectedKeys, widgetsOf } from "./below.tsx";
import style from "./lines.module.css";
import { useReach } from "./reach.ts";
import type { ReviewStore } from "./review-store.ts";
import { type Range, useSelection } from "./selection.ts";
import { type Colours, SliceView } from "./slice.tsx";

type LinesProps = {
  readonly file: string;
  readonly diff: Compared;
  readonly view: View;
  readonly colours: Colours;
  readonly placed: readonly Placed[];
  readonly store: ReviewStore;
  readonly mayComment: boolean;
  /** The line to scroll to. */
  readonly goal: Spot | null;
  /** The reader left the lines with Escape. */
  readonly onLeave: () => void;
};

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
    <div className={style.frame}>
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
    </div>
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
