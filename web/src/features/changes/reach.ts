/** Goes to a line of a virtual list, exactly. */
import type { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useRef } from "react";
import { type Item, keyAt, LINE_PX, type Openings, placeOf, revealed, type Spot } from "../../core/hunks.ts";

type List = Pick<ReturnType<typeof useVirtualizer>, "scrollToOffset" | "getOffsetForIndex">;

const TRIES_MAX = 30;

/**
 * Return the function that shows a line: it opens the fold that hides the line, mounts its slice, and then the
 * line itself is measured. With `isGoal` it comes into the middle.
 */
export function useReach(
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

/** Scroll so that a line is visible. Return false if it is not mounted. */
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
