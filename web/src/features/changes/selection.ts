/** The reader's current line and the selected range, by keys and by mouse. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { ChangeData } from "react-diff-view/esm";
import { type Item, placeOf, type Side, type Spot } from "../../core/hunks.ts";
import type { LineEvents } from "./slice.tsx";

export type Range = { readonly side: Side; readonly from: number; readonly to: number };

type Selection = {
  readonly spot: Spot | null;
  readonly setSpot: (spot: Spot | null) => void;
  readonly range: Range | null;
  /** The side that the reader prefers if a row has both. */
  readonly prefers: Side;
  /** Begin a range at the line, or end the current range. */
  readonly startRange: () => void;
  readonly clearRange: () => void;
  /** Go to the other side of the row. */
  readonly turn: (items: readonly Item[], side: Side) => void;
  /** For the line numbers: a click comments on a line, a drag on a range. */
  readonly events: LineEvents;
};

/** `comment` is called with what a click or drag on line numbers has selected; without it they do nothing. */
export function useSelection(comment: ((range: Range) => void) | null): Selection {
  const [spot, setSpotAlone] = useState<Spot | null>(null);
  const [start, setStart] = useState<Spot | null>(null);
  const [prefers, setPrefers] = useState<Side>("after");
  const setSpot = useCallback((next: Spot | null) => {
    setSpotAlone(next);
    if (next === null) setStart(null);
  }, []);
  const range = useMemo(() => rangeOf(start, spot), [start, spot]);
  const events = useDrag(comment, (from, to) => {
    setStart(from);
    setSpotAlone(to);
  });
  return {
    spot,
    setSpot,
    range,
    prefers,
    startRange: () => setStart(old => (old === null ? spot : null)),
    clearRange: () => setStart(null),
    turn: (items, side) => {
      setPrefers(side);
      const place = spot && placeOf(items, spot.side, spot.line);
      const item = place && items[place.item];
      const line = item?.type === "slice" ? (item.rows[place?.row ?? -1]?.[side] ?? 0) : 0;
      if (line > 0 && start === null) setSpotAlone({ side, line });
    },
    events,
  };
}

function rangeOf(start: Spot | null, spot: Spot | null): Range | null {
  if (start === null || spot === null || start.side !== spot.side) return null;
  return { side: spot.side, from: Math.min(start.line, spot.line), to: Math.max(start.line, spot.line) };
}

function spotAt(change: ChangeData | null, side: "old" | "new" | undefined): Spot | null {
  if (change === null) return null;
  if (change.type === "delete") return { side: "before", line: change.lineNumber };
  if (change.type === "insert") return { side: "after", line: change.lineNumber };
  return side === "old"
    ? { side: "before", line: change.oldLineNumber }
    : { side: "after", line: change.newLineNumber };
}

/** Follow the mouse over line numbers from where it was pressed. */
function useDrag(comment: ((range: Range) => void) | null, select: (from: Spot | null, to: Spot) => void): LineEvents {
  const drag = useRef<{ readonly from: Spot; to: Spot } | null>(null);
  const newest = useRef({ comment, select });
  newest.current = { comment, select };
  useEffect(() => {
    const end = (): void => {
      const dragged = drag.current;
      drag.current = null;
      if (dragged === null) return;
      const { from, to } = dragged;
      newest.current.comment?.(rangeOf(from, to) ?? { side: to.side, from: to.line, to: to.line });
      newest.current.select(null, to);
    };
    addEventListener("mouseup", end);
    return () => removeEventListener("mouseup", end);
  }, []);
  return useMemo(
    () => ({
      onMouseDown: ({ change, side }, event) => {
        const spot = spotAt(change, side);
        if (spot === null || event.button !== 0 || newest.current.comment === null) return;
        event.preventDefault();
        drag.current = { from: spot, to: spot };
        newest.current.select(null, spot);
      },
      onMouseEnter: ({ change, side }) => {
        const spot = spotAt(change, side);
        if (drag.current === null || spot?.side !== drag.current.from.side) return;
        drag.current.to = spot;
        newest.current.select(drag.current.from, spot);
      },
    }),
    [],
  );
}
