/** The rows of the fleet page: the head of a group, and a session. */
import { Link } from "@tanstack/react-router";
import { ChevronDown, ChevronRight, MoreHorizontal } from "lucide-react";
import { type ComponentProps, type MouseEvent, memo, type ReactNode } from "react";
import type { Cluster } from "../../core/groups.ts";
import { lookOf } from "../../core/status.ts";
import { counted, oneLine } from "../../core/text.ts";
import { useMayChange, useSession } from "../../state/context.tsx";
import { cx } from "../../ui/cx.ts";
import { GridCell, GridRow } from "../../ui/grid.tsx";
import { Mark } from "../../ui/mark.tsx";
import { useActs } from "./acts.ts";
import { Changes, Cost, DoingLine, isOver, ParentName, PlaceName, StateAge, Tags } from "./cells.tsx";
import style from "./row.module.css";
import { useIsSelected } from "./selection.ts";

/** Deeper children are not indented further: their titles need the room. */
export const DEPTH_MAX = 4;

type GroupRowProps = {
  readonly cluster: Cluster;
  readonly isFolded: boolean;
  readonly index: number;
  readonly isActive: boolean;
};

export const GroupRow = memo(function GroupRow(props: GroupRowProps): ReactNode {
  const { cluster, isFolded, index, isActive } = props;
  const { activate, toggleFold } = useActs();
  const key = `group:${cluster.key}`;
  const needing = cluster.key === "needs" ? 0 : cluster.needing;
  const Arrow = isFolded ? ChevronRight : ChevronDown;
  return (
    <GridRow
      index={index}
      isActive={isActive}
      data-row={key}
      aria-level={1}
      aria-expanded={!isFolded}
      className={style.head}
      onFocus={() => activate(key)}
      onClick={() => toggleFold(cluster.key)}
    >
      <GridCell className={style.headCell}>
        <Arrow size={14} aria-hidden />
        <span className={style.headTitle}>{oneLine(cluster.title)}</span>
        <span className={style.count}>
          {cluster.places.length.toLocaleString("en-US")}
          <span className="visually-hidden"> {cluster.places.length === 1 ? "session" : "sessions"}</span>
        </span>
        {needing > 0 && <span className={style.needing}>{needing === 1 ? "1 needs you" : `${needing} need you`}</span>}
      </GridCell>
    </GridRow>
  );
});

export type RowPlace = {
  readonly id: string;
  /** The number of its ancestors in the group. */
  readonly depth: number;
  /** The place in its group, from 1, and how many the group has. */
  readonly at: number;
  readonly of: number;
  /** The place among all rows, from 0. */
  readonly index: number;
  readonly isActive: boolean;
};

/** The row of a session, in the list or in the rail. */
export function PlacedRow({ place, ...rest }: ComponentProps<"div"> & { readonly place: RowPlace }): ReactNode {
  const { id, depth, at, of, index, isActive } = place;
  const { activate } = useActs();
  return (
    <GridRow
      {...rest}
      index={index}
      isActive={isActive}
      data-row={id}
      aria-level={depth + 2}
      aria-posinset={at}
      aria-setsize={of}
      onFocus={() => activate(id)}
    />
  );
}

export const SessionRow = memo(function SessionRow(place: RowPlace): ReactNode {
  const { id, depth, isActive } = place;
  const item = useSession(id);
  const { extendTo, selection } = useActs();
  const isSelected = useIsSelected(selection, id);
  if (item === undefined) return <div className={cx(style.row, style.gone)}>This session has been erased.</div>;
  const range = (event: MouseEvent): void => {
    if (!event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    extendTo(id);
  };
  return (
    <PlacedRow
      place={place}
      aria-selected={isSelected}
      className={cx(style.row, isOver(item) && style.over)}
      onClickCapture={range}
    >
      <GridCell className={style.check}>
        <SelectBox id={id} title={item.title} isSelected={isSelected} isActive={isActive} />
      </GridCell>
      <GridCell className={style.status}>
        <Mark {...lookOf(item.status)} />
      </GridCell>
      <GridCell className={style.title} style={{ paddingLeft: Math.min(depth, DEPTH_MAX) * 18 }}>
        {depth > 0 && (
          <span aria-hidden className={style.knee}>
            └
          </span>
        )}
        <Link to="/s/$id" params={{ id }} className={style.link} tabIndex={-1} preload={false}>
          {oneLine(item.title)}
        </Link>
        {depth === 0 && item.parentId !== null && <ParentName id={item.parentId} />}
        <Tags tags={item.tags} />
      </GridCell>
      <GridCell className={style.place}>
        <PlaceName item={item} />
      </GridCell>
      <GridCell className={style.activity}>
        <DoingLine item={item} />
      </GridCell>
      <GridCell className={style.age}>
        <StateAge item={item} />
      </GridCell>
      <GridCell className={style.changes}>
        <Changes item={item} />
      </GridCell>
      <GridCell className={style.cost}>
        <Cost item={item} />
      </GridCell>
      <GridCell className={style.more}>
        <MoreButton id={id} title={item.title} isActive={isActive} />
      </GridCell>
    </PlacedRow>
  );
});

type BoxProps = {
  readonly id: string;
  readonly title: string;
  readonly isSelected: boolean;
  readonly isActive: boolean;
};

function SelectBox({ id, title, isSelected, isActive }: BoxProps): ReactNode {
  const { selection } = useActs();
  if (!useMayChange()) return null;
  return (
    <label className={style.box}>
      <input
        type="checkbox"
        checked={isSelected}
        tabIndex={isActive ? 0 : -1}
        aria-label={`Select ${oneLine(title, 80)}`}
        onChange={() => selection.toggle(id)}
      />
    </label>
  );
}

function MoreButton({ id, title, isActive }: Omit<BoxProps, "isSelected">): ReactNode {
  const { openMenu } = useActs();
  return (
    <button
      type="button"
      className={style.dots}
      tabIndex={isActive ? 0 : -1}
      aria-haspopup="menu"
      aria-label={`Menu of ${oneLine(title, 80)}`}
      onClick={event => openMenu(id, event.currentTarget)}
    >
      <MoreHorizontal size={16} aria-hidden />
    </button>
  );
}

/** The counts in the head of the list. */
export function countWords(shown: number, total: number): string {
  return shown === total
    ? counted(total, "session")
    : `${shown.toLocaleString("en-US")} of ${counted(total, "session")}`;
}
