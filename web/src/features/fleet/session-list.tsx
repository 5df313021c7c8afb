/** The list of the fleet page. */
import { type ReactNode, type RefObject, useEffect, useMemo, useRef } from "react";
import type { Row } from "../../core/groups.ts";
import { useActions } from "../../state/actions.ts";
import { useMayChange } from "../../state/context.tsx";
import { useCell } from "../../state/store.ts";
import type { VirtualHandle } from "../../ui/virtual-list.tsx";
import { type Acts, ActsContext } from "./acts.ts";
import { type Cursor, useCursor } from "./cursor.ts";
import type { Order } from "./order.ts";
import { SessionRow } from "./row.tsx";
import { RowList } from "./row-list.tsx";
import type { Selection } from "./selection.ts";
import type { Folds } from "./view.ts";

type SessionListProps = {
  readonly rows: readonly Row[];
  readonly order: Order;
  readonly folds: Folds;
  readonly selection: Selection;
  readonly list: RefObject<VirtualHandle | null>;
  readonly onMenu: (id: string, at: Element) => void;
  /** The session in the preview, which follows the current row. */
  readonly peeked: string | null;
  readonly onPeek: (id: string | null) => void;
};

export function SessionList(props: SessionListProps): ReactNode {
  const { rows, order, folds, list } = props;
  const cursor = useCursor(rows, list);
  const acts = useStableActs(props, cursor);
  useListActions(props, cursor);
  useFollowingPeek(props, cursor);
  return (
    <ActsContext value={acts}>
      <RowList
        rows={rows}
        order={order}
        folds={folds}
        cursor={cursor}
        list={list}
        isMultiselectable={useMayChange()}
        isSelecting={useCell(props.selection.ids).length > 0}
        session={place => <SessionRow {...place} />}
      />
    </ActsContext>
  );
}

/** Return functions that stay the same and always call their newest version. */
function useStableActs(props: SessionListProps, cursor: Cursor): Acts {
  const newest = useRef({ props, cursor });
  newest.current = { props, cursor };
  const { selection } = props;
  return useMemo(
    () => ({
      selection,
      activate: key => newest.current.cursor.activate(key),
      toggleFold: cluster => newest.current.props.folds.toggle(cluster),
      extendTo: id => selection.extendTo(id, idsOf(newest.current.props.rows)),
      openMenu: (id, at) => newest.current.props.onMenu(id, at),
    }),
    [selection],
  );
}

export function idsOf(rows: readonly Row[]): readonly string[] {
  return rows.filter(row => row.kind === "session").map(row => row.key);
}

/** Return the next session's row above or below, past the heads of groups; the same row if there is none. */
function sessionFrom(rows: readonly Row[], index: number, by: 1 | -1): number {
  let next = index + by;
  while (rows[next]?.kind === "group") next += by;
  return rows[next] === undefined ? index : next;
}

/** The letters of the list. */
function useListActions({ rows, selection, list, peeked, onMenu, onPeek }: SessionListProps, cursor: Cursor): void {
  const mayChange = useMayChange();
  const { row, index, go, open } = cursor;
  const session = row?.kind === "session" ? row.key : null;
  const hasFocus = (): boolean => list.current?.element?.contains(document.activeElement) ?? false;
  const step = (by: 1 | -1) => () => go(hasFocus() || session === null ? sessionFrom(rows, index, by) : index);
  const openMenu = (): void => {
    const row = session && list.current?.element?.querySelector(`[data-row="${CSS.escape(session)}"]`);
    const element = row && (row.querySelector('[aria-haspopup="menu"]') ?? row);
    if (element) onMenu(session, element);
  };
  const extend = (by: 1 | -1) => () => {
    if (session !== null && !selection.has(session)) selection.toggle(session);
    const next = sessionFrom(rows, index, by);
    const target = rows[next];
    if (target?.kind !== "session") return;
    selection.extendTo(target.key, idsOf(rows));
    go(next);
  };
  useActions([
    { id: "list.down", label: "Next row", run: step(1) },
    { id: "list.up", label: "Previous row", run: step(-1) },
    session !== null && { id: "list.open", label: "Open the row", run: open },
    session !== null && {
      id: "list.peek",
      label: "Peek at the row",
      run: () => onPeek(peeked === session ? null : session),
    },
    session !== null && { id: "list.menu", label: "Menu of the row", run: openMenu },
    session !== null &&
      mayChange && { id: "list.select", label: "Select the row", run: () => selection.toggle(session) },
    mayChange && { id: "list.select-down", label: "Extend the selection down", run: extend(1) },
    mayChange && { id: "list.select-up", label: "Extend the selection up", run: extend(-1) },
  ]);
}

/** While the preview is open, it shows the current row. */
function useFollowingPeek({ peeked, onPeek }: SessionListProps, { row }: Cursor): void {
  const key = row?.kind === "session" ? row.key : null;
  // biome-ignore lint/correctness/useExhaustiveDependencies: it follows the cursor, and nothing else
  useEffect(() => {
    if (peeked !== null && key !== null && key !== peeked) onPeek(key);
  }, [key]);
}
