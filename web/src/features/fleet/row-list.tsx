/** Groups and sessions as rows, of which the visible ones are mounted: the body of the page's list and of the rail. */
import type { ReactNode, RefObject } from "react";
import { useMemo } from "react";
import type { Row } from "../../core/groups.ts";
import { type VirtualHandle, VirtualList } from "../../ui/virtual-list.tsx";
import { type Cursor, hear } from "./cursor.ts";
import style from "./fleet.module.css";
import type { Order } from "./order.ts";
import { GroupRow, type RowPlace } from "./row.tsx";
import type { Folds } from "./view.ts";

type RowListProps = {
  readonly rows: readonly Row[];
  readonly order: Order;
  readonly folds: Folds;
  readonly cursor: Cursor;
  readonly list: RefObject<VirtualHandle | null>;
  readonly isMultiselectable: boolean;
  /** Whether rows are being selected: then each has its box, also where there is little room. */
  readonly isSelecting?: boolean;
  readonly session: (place: RowPlace) => ReactNode;
};

export function RowList(props: RowListProps): ReactNode {
  const { rows, order, folds, cursor, list, isMultiselectable, isSelecting = false, session } = props;
  const virtual = useMemo(() => rows.map(row => ({ key: row.key, isHead: row.kind === "group" })), [rows]);
  return (
    <VirtualList
      handle={list}
      role="treegrid"
      aria-label="Sessions"
      aria-multiselectable={isMultiselectable}
      aria-rowcount={rows.length}
      className={style.list}
      data-selecting={isSelecting}
      rows={virtual}
      kept={cursor.index}
      onKeyDown={event => hear(event, cursor, folds)}
      onBlur={event => {
        if (event.relatedTarget !== null && !event.currentTarget.contains(event.relatedTarget)) cursor.left();
      }}
      {...order.pointer.listeners}
      render={index => {
        const row = rows[index];
        if (row === undefined) return null;
        const isActive = index === cursor.index;
        if (row.kind === "session") {
          const { key, depth, at, of } = row;
          return session({ id: key, depth, at, of, index, isActive });
        }
        const { cluster, isFolded } = row;
        return <GroupRow cluster={cluster} isFolded={isFolded} index={index} isActive={isActive} />;
      }}
    />
  );
}
