/**
 * A long list of rows with known heights; only the visible ones are mounted.
 *
 * Heights come from the style sheet (`--list-row`, `--list-head` on the list), so that density, phones and zoom need no
 * code here. When rows are added, removed or moved, the visible part keeps its place: the list scrolls as far as the first
 * visible row has moved. At the very top it does not, so that new rows there are visible.
 */
import {
  type ComponentProps,
  type ReactNode,
  type Ref,
  useCallback,
  useImperativeHandle,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { flushSync } from "react-dom";
import { cx } from "./cx.ts";
import style from "./virtual-list.module.css";

export type VirtualRow = { readonly key: string; readonly isHead: boolean };

export type VirtualHandle = {
  readonly element: HTMLDivElement | null;
  /** Scroll as little as needed to have the whole row in sight. */
  readonly reveal: (index: number) => void;
};

type VirtualListProps = Omit<ComponentProps<"div">, "children" | "ref"> & {
  readonly rows: readonly VirtualRow[];
  readonly render: (index: number) => ReactNode;
  /** A row that stays mounted even if it is not visible, because it has the focus. */
  readonly kept: number;
  readonly handle?: Ref<VirtualHandle>;
};

type Sizes = { readonly row: number; readonly head: number };
type Sight = { readonly first: number; readonly last: number };

/** The number of rows that are mounted above and below the visible ones. */
const OVERSCAN = 12;
/** The heights until the style sheet is read. */
const GUESS: Sizes = { row: 36, head: 32 };

export function VirtualList(props: VirtualListProps): ReactNode {
  const { rows, render, kept, handle, className, ...rest } = props;
  const list = useRef<HTMLDivElement>(null);
  const probes = useRef<HTMLDivElement>(null);
  const sizes = useSizes(probes);
  const starts = useMemo(() => startsOf(rows, sizes), [rows, sizes]);
  const [sight, look] = useState<Sight>({ first: 0, last: OVERSCAN * 3 });

  const measure = useCallback((): void => {
    const element = list.current;
    if (element === null) return;
    const next = sightOf(element, starts);
    look(before => (before.first === next.first && before.last === next.last ? before : next));
  }, [starts]);

  useAnchor(list, rows, starts);
  useLayoutEffect(measure, [measure]);
  useResize(list, before => {
    // An element that appears below the list must not cover the row that has the focus.
    const wasInSight = (starts[kept + 1] ?? Number.POSITIVE_INFINITY) <= (list.current?.scrollTop ?? 0) + before;
    if (wasInSight && list.current?.contains(document.activeElement)) reveal(list.current, starts, kept);
    measure();
  });

  useImperativeHandle(
    handle,
    () => ({
      element: list.current,
      reveal: index => reveal(list.current, starts, index),
    }),
    [starts],
  );

  return (
    // A scroll has to be rendered in the same frame, or the rows would be blank for one frame.
    <div {...rest} ref={list} className={cx(style.list, className)} onScroll={() => flushSync(measure)}>
      <div ref={probes} aria-hidden className={style.probes}>
        <div className={style.probeRow} />
        <div className={style.probeHead} />
      </div>
      <div role="presentation" className={style.all} style={{ height: starts[rows.length] ?? 0 }}>
        {mounted(sight, kept, rows.length).map(index => (
          <div
            key={rows[index]?.key}
            role="presentation"
            className={style.place}
            style={{ transform: `translateY(${starts[index]}px)` }}
          >
            {render(index)}
          </div>
        ))}
      </div>
    </div>
  );
}

/** Call when the height of an element changes, with the one before. */
function useResize(element: { readonly current: HTMLElement | null }, changed: (beforePx: number) => void): void {
  const newest = useRef(changed);
  newest.current = changed;
  useLayoutEffect(() => {
    if (element.current === null) return;
    let height = element.current.clientHeight;
    const observer = new ResizeObserver(() => {
      const before = height;
      height = element.current?.clientHeight ?? 0;
      if (height !== before) newest.current(before);
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [element]);
}

/** Return the heights that the style sheet gives, followed as they change. */
function useSizes(probes: { readonly current: HTMLDivElement | null }): Sizes {
  const [sizes, setSizes] = useState(GUESS);
  useLayoutEffect(() => {
    const [row, head] = probes.current?.children ?? [];
    if (!row || !head) return;
    const read = (): void => {
      const next = { row: row.getBoundingClientRect().height, head: head.getBoundingClientRect().height };
      setSizes(before => (before.row === next.row && before.head === next.head ? before : next));
    };
    read();
    const observer = new ResizeObserver(read);
    observer.observe(row);
    observer.observe(head);
    return () => observer.disconnect();
  }, [probes]);
  return sizes;
}

/** Return where each row begins, and behind the last where it ends. */
function startsOf(rows: readonly VirtualRow[], sizes: Sizes): Float64Array {
  const starts = new Float64Array(rows.length + 1);
  rows.forEach((row, index) => {
    starts[index + 1] = (starts[index] ?? 0) + (row.isHead ? sizes.head : sizes.row);
  });
  return starts;
}

/** Return the row at a distance from the top. */
function rowAt(starts: Float64Array, height: number): number {
  let low = 0;
  let high = Math.max(0, starts.length - 2);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= height) low = middle;
    else high = middle - 1;
  }
  return low;
}

function sightOf(element: HTMLElement, starts: Float64Array): Sight {
  const top = element.scrollTop;
  return {
    first: Math.max(0, rowAt(starts, top) - OVERSCAN),
    last: rowAt(starts, top + element.clientHeight) + OVERSCAN,
  };
}

function mounted(sight: Sight, kept: number, count: number): readonly number[] {
  const last = Math.min(count - 1, sight.last);
  const indexes = Array.from({ length: Math.max(0, last - sight.first + 1) }, (_, index) => sight.first + index);
  if (kept >= 0 && kept < count && kept < sight.first) indexes.unshift(kept);
  if (kept >= 0 && kept < count && kept > last) indexes.push(kept);
  return indexes;
}

/** Keep the visible part in place when rows above it are added, removed or moved. */
function useAnchor(
  list: { readonly current: HTMLDivElement | null },
  rows: readonly VirtualRow[],
  starts: Float64Array,
): void {
  const before = useRef({ rows, starts });
  useLayoutEffect(() => {
    const was = before.current;
    before.current = { rows, starts };
    const element = list.current;
    if (element === null || was.starts === starts || element.scrollTop === 0) return;
    const places = new Map(rows.map((row, index) => [row.key, index]));
    for (let index = rowAt(was.starts, element.scrollTop); index < was.rows.length; index += 1) {
      const key = was.rows[index]?.key;
      const now = key === undefined ? undefined : places.get(key);
      if (now === undefined) continue;
      element.scrollTop += (starts[now] ?? 0) - (was.starts[index] ?? 0);
      return;
    }
  }, [list, rows, starts]);
}

function reveal(element: HTMLElement | null, starts: Float64Array, index: number): void {
  const top = starts[index];
  const bottom = starts[index + 1];
  if (element === null || top === undefined || bottom === undefined) return;
  if (top < element.scrollTop) element.scrollTop = top;
  else if (bottom > element.scrollTop + element.clientHeight) element.scrollTop = bottom - element.clientHeight;
}
