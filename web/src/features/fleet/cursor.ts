/** The current row, which keys act on, and the keys of every list of rows. The table in `core/keymap.ts` has the letters. */
import { useNavigate } from "@tanstack/react-router";
import { type KeyboardEvent, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { Row } from "../../core/groups.ts";
import type { VirtualHandle } from "../../ui/virtual-list.tsx";
import type { Folds } from "./view.ts";

const PAGE_ROWS = 15;

/** It stays with its session when rows move, and moves to a neighbour when the session disappears. */
export type Cursor = {
  readonly index: number;
  readonly row: Row | undefined;
  /** A row got the focus. */
  readonly activate: (key: string) => void;
  /** The focus went elsewhere. */
  readonly left: () => void;
  /** Go to a row and focus it. */
  readonly go: (index: number) => void;
  readonly open: () => void;
  readonly rows: readonly Row[];
};

/** Follow the current row; at first it is the row of `startAt`, else the first session. */
export function useCursor(
  rows: readonly Row[],
  list: { readonly current: VirtualHandle | null },
  startAt: string | null = null,
): Cursor {
  const navigate = useNavigate();
  const [active, setActive] = useState<string | null>(startAt);
  const lastIndex = useRef(0);
  const wantsFocus = useRef(false);
  const found = useMemo(() => rows.findIndex(row => row.key === active), [rows, active]);
  const first = rows[0]?.kind === "group" && rows.length > 1 ? 1 : 0;
  const index = found >= 0 ? found : active === null ? first : Math.min(lastIndex.current, rows.length - 1);
  const row = rows[index];
  useEffect(() => {
    lastIndex.current = index;
  }, [index]);
  // When a row with the focus disappears (erased, folded), its neighbour gets the focus.
  const isLost = found < 0 && active !== null;
  const hadFocus = useRef(false);
  useLayoutEffect(() => {
    if (isLost && hadFocus.current && document.activeElement === document.body) wantsFocus.current = true;
    if (!wantsFocus.current || row === undefined) return;
    wantsFocus.current = false;
    list.current?.element
      ?.querySelector<HTMLElement>(`[data-row="${CSS.escape(row.key)}"]`)
      ?.focus({ preventScroll: true });
  });
  const go = (to: number): void => {
    const next = Math.max(0, Math.min(rows.length - 1, to));
    const key = rows[next]?.key;
    if (key === undefined) return;
    list.current?.reveal(next);
    wantsFocus.current = true;
    setActive(key);
  };
  const activate = (key: string): void => {
    hadFocus.current = true;
    setActive(key);
  };
  const left = (): void => {
    hadFocus.current = false;
  };
  const open = (): void => {
    if (row?.kind === "session") void navigate({ to: "/s/$id", params: { id: row.key } });
  };
  return { index, row, activate, left, go, open, rows };
}

/** Handle a key on a row or on an element in it. */
export function hear(event: KeyboardEvent, cursor: Cursor, folds: Folds): void {
  const isOfRow = (event.target as Element).getAttribute("role") === "row";
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  if (!isOfRow && !event.key.startsWith("Arrow")) return;
  if (pressed(event.key, cursor, folds)) event.preventDefault();
}

/** Handle a key on a focused row of any list; the table of keys has the letters. Return false for other keys. */
function pressed(key: string, { index, row, rows, go, open }: Cursor, folds: Folds): boolean {
  const isFoldable = row?.kind === "group" && row.isFolded === (key === "ArrowRight");
  if (row?.kind === "group" && (key === "Enter" || (/^Arrow(?:Left|Right)$/.test(key) && isFoldable))) {
    folds.toggle(row.cluster.key);
    return true;
  }
  if (key === "Enter") {
    open();
    return true;
  }
  const to = targetOf(key, index, rows);
  if (to !== null) go(to);
  return to !== null;
}

function targetOf(key: string, index: number, rows: readonly Row[]): number | null {
  switch (key) {
    case "ArrowDown":
    case "ArrowRight":
      return index + 1;
    case "ArrowUp":
      return index - 1;
    case "ArrowLeft":
      return rows.findLastIndex((each, at) => at < index && each.kind === "group");
    case "PageDown":
      return index + PAGE_ROWS;
    case "PageUp":
      return index - PAGE_ROWS;
    case "Home":
      return 0;
    case "End":
      return rows.length - 1;
    default:
      return null;
  }
}
