/** The fleet page's list beside an open session: the same filter, groups and order, in one narrow column. */
import { Link } from "@tanstack/react-router";
import { memo, type ReactNode, useEffect, useMemo, useRef } from "react";
import { isMac } from "../../browser/platform.ts";
import { rowsOf } from "../../core/groups.ts";
import { keysOf } from "../../core/keymap.ts";
import { lookOf } from "../../core/status.ts";
import { oneLine } from "../../core/text.ts";
import { useActions } from "../../state/actions.ts";
import { useFleet, useSession } from "../../state/context.tsx";
import { useCell } from "../../state/store.ts";
import { Button } from "../../ui/button.tsx";
import { cx } from "../../ui/cx.ts";
import { GridCell } from "../../ui/grid.tsx";
import { Mark } from "../../ui/mark.tsx";
import { Empty, Loading } from "../../ui/states.tsx";
import type { VirtualHandle } from "../../ui/virtual-list.tsx";
import { type Acts, ActsContext } from "./acts.ts";
import { isOver, StateAge } from "./cells.tsx";
import { useCursor } from "./cursor.ts";
import { FilterField } from "./filter-field.tsx";
import { useOrder } from "./order.ts";
import style from "./rail.module.css";
import { DEPTH_MAX, PlacedRow, type RowPlace } from "./row.tsx";
import { RowList } from "./row-list.tsx";
import { useSelection } from "./selection.ts";
import { keepLook, lastLook, useFolds, useMedia, useView } from "./view.ts";

/** Below this width the page shows only the session. */
const ROOM = "(min-width: 900.02px)";

export function SessionRail(props: { readonly openId: string }): ReactNode {
  return useMedia(ROOM) ? <Rail openId={props.openId} /> : <div />;
}

function Rail({ openId }: { readonly openId: string }): ReactNode {
  const look = useCell(lastLook);
  const view = useView(look);
  const [{ clusters }, order] = useOrder(view);
  const folds = useFolds(look);
  const rows = useMemo(() => rowsOf(clusters, folds.isFolded), [clusters, folds.isFolded]);
  const list = useRef<VirtualHandle>(null);
  const field = useRef<HTMLInputElement>(null);
  const cursor = useCursor(rows, list, openId);
  const isLoaded = useCell(useFleet().fleet.isLoaded);
  const acts = useRailActs(cursor.activate, folds.toggle);
  const at = rows.findIndex(row => row.key === openId);
  // biome-ignore lint/correctness/useExhaustiveDependencies: rows that move must not scroll the list
  useEffect(() => list.current?.reveal(at), [openId]);
  useActions([{ id: "filter.focus", label: "Filter the list", run: () => field.current?.select() }]);
  const setQuery = (q: string): void => keepLook({ ...look, q });
  return (
    <ActsContext value={acts}>
      <nav aria-label="Sessions" className={style.rail}>
        <div className={style.bar}>
          <FilterField
            value={look.q}
            onChange={setQuery}
            field={field}
            keys={keysOf("filter.focus", isMac)[0]}
            placeholder="Filter"
            onEnter={() => cursor.go(cursor.index)}
          />
        </div>
        {!isLoaded ? (
          <Loading what="sessions" bars={8} />
        ) : rows.length === 0 ? (
          <Empty act={look.q !== "" && <Button onClick={() => setQuery("")}>Clear the filter</Button>}>
            {look.q === "" ? "No sessions." : "No session matches."}
          </Empty>
        ) : (
          <RowList
            rows={rows}
            order={order}
            folds={folds}
            cursor={cursor}
            list={list}
            isMultiselectable={false}
            session={place => <RailRow {...place} isOpen={place.id === openId} />}
          />
        )}
      </nav>
    </ActsContext>
  );
}

const RailRow = memo(function RailRow(props: RowPlace & { readonly isOpen: boolean }): ReactNode {
  const { isOpen, ...place } = props;
  const { id, depth } = place;
  const item = useSession(id);
  if (item === undefined) return <div className={cx(style.row, style.over)}>erased</div>;
  return (
    <PlacedRow
      place={place}
      aria-current={isOpen ? "page" : undefined}
      className={cx(style.row, isOver(item) && style.over)}
    >
      <GridCell className={style.cell} style={{ paddingLeft: Math.min(depth, DEPTH_MAX) * 12 }}>
        <Mark {...lookOf(item.status)} isShort />
        <Link to="/s/$id" params={{ id }} className={style.link} tabIndex={-1} title={oneLine(item.title)}>
          {oneLine(item.title)}
        </Link>
        <span className={style.age}>
          <StateAge item={item} />
        </span>
      </GridCell>
    </PlacedRow>
  );
});

/** The rail has no selection and no menus. */
function useRailActs(activate: Acts["activate"], toggleFold: Acts["toggleFold"]): Acts {
  const selection = useSelection();
  return useMemo(
    () => ({ selection, activate, toggleFold, extendTo: () => undefined, openMenu: () => undefined }),
    [selection, activate, toggleFold],
  );
}
