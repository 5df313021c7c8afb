/** The fleet: every session that has not ended, and those that ended today. */
import { Link } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { isMac } from "../../browser/platform.ts";
import { rowsOf } from "../../core/groups.ts";
import { keysOf } from "../../core/keymap.ts";
import { runAction, useActions } from "../../state/actions.ts";
import { useFleet, useMayChange } from "../../state/context.tsx";
import { part } from "../../state/parts.ts";
import { useCell } from "../../state/store.ts";
import { Button } from "../../ui/button.tsx";
import { Pick } from "../../ui/pick.tsx";
import { Empty, Loading, ProblemCard } from "../../ui/states.tsx";
import type { VirtualHandle } from "../../ui/virtual-list.tsx";
import { Boundary } from "../../widgets/boundary.tsx";
import { useBulk } from "./bulk.ts";
import { BulkBar } from "./bulk-bar.tsx";
import { FilterField } from "./filter-field.tsx";
import style from "./fleet.module.css";
import { HostTroubles } from "./host-troubles.tsx";
import { useLook } from "./look.ts";
import { useOrder } from "./order.ts";
import type { Asking } from "./overlays.tsx";
import { countWords } from "./row.tsx";
import { useSelection } from "./selection.ts";
import { SessionList } from "./session-list.tsx";
import { GROUPINGS, type Look, SORTS, useFolds, useView } from "./view.ts";

const Overlays = lazy(part(() => import("./overlays.tsx").then(module => ({ default: module.Overlays }))));
const Peek = lazy(part(() => import("./peek.tsx").then(module => ({ default: module.Peek }))));

const AWAY = {
  title: "The server does not respond",
  detail: "No session has been fetched yet.",
  hint: "The page retries by itself. On the machine of the server, `fleet doctor` says what is wrong.",
};

export function FleetPage(): ReactNode {
  const { fleet, hub } = useFleet();
  const isLoaded = useCell(fleet.isLoaded);
  const trouble = useCell(fleet.trouble);
  const { phase } = useCell(hub.connection);
  if (trouble !== null) return <ProblemCard trouble={trouble} retry={() => hub.restart(fleet)} />;
  if (isLoaded) return <Fleet />;
  return phase === "away" ? <ProblemCard trouble={AWAY} /> : <Loading what="sessions" bars={12} />;
}

function Fleet(): ReactNode {
  const [look, setLook] = useLook();
  const view = useView(look);
  const [{ clusters, total, isWaiting }, order] = useOrder(view);
  const folds = useFolds(look);
  const rows = useMemo(() => rowsOf(clusters, folds.isFolded), [clusters, folds.isFolded]);
  const shown = useMemo(() => clusters.flatMap(each => each.places.map(place => place.id)), [clusters]);
  const selection = useSelection();
  const list = useRef<VirtualHandle>(null);
  const bulk = useBulk();
  const [asking, ask] = useAsking(list);
  const [peeked, peek] = useState<string | null>(null);
  const closePeek = (): void => {
    const isInside = document.activeElement?.closest("[data-peek]") ?? null;
    peek(null);
    if (isInside !== null) focusRow(list.current);
  };
  useEscape(peeked === null ? () => selection.clear() : closePeek);
  if (total === 0) return <Welcome />;
  return (
    <div className={style.page}>
      <Bar
        look={look}
        onLook={setLook}
        words={countWords(shown.length, total)}
        onEnter={() => focusRow(list.current)}
      />
      <HostTroubles />
      <div className={style.body}>
        {shown.length === 0 ? (
          <Empty act={<Button onClick={() => setLook({ ...look, q: "" })}>Clear the filter</Button>}>
            No session matches this filter.
          </Empty>
        ) : (
          <SessionList
            rows={rows}
            order={order}
            folds={folds}
            selection={selection}
            list={list}
            peeked={peeked}
            onMenu={(id, at) => ask({ kind: "menu", id, at })}
            onPeek={peek}
          />
        )}
        {peeked !== null && (
          <Boundary what="The peek">
            <Suspense fallback={null}>
              <Peek id={peeked} onClose={closePeek} />
            </Suspense>
          </Boundary>
        )}
      </div>
      <BulkBar selection={selection} shown={shown} progress={bulk.progress} onAsk={ask} />
      <div className={style.foot}>
        <Link to="/history">Older sessions are in the history</Link>
        <span className={style.gap} />
        {isWaiting && <span>The list keeps its order while you point at it</span>}
      </div>
      {(asking !== null || bulk.report !== null) && (
        <Boundary what="The dialog">
          <Suspense fallback={null}>
            <Overlays asking={asking} bulk={bulk} selection={selection} onAsk={ask} onPeek={peek} />
          </Suspense>
        </Boundary>
      )}
    </div>
  );
}

/** Focus the current row. */
function focusRow(list: VirtualHandle | null): void {
  list?.element?.querySelector<HTMLElement>('[role="row"][tabindex="0"]')?.focus({ preventScroll: true });
}

/** The open overlay. When it closes and its element had the focus, the list gets the focus back. */
function useAsking(list: { readonly current: VirtualHandle | null }) {
  const [asking, ask] = useState<Asking | null>(null);
  const had = useRef(false);
  useEffect(() => {
    if (asking === null && had.current) {
      requestAnimationFrame(() => {
        if (document.activeElement === null || document.activeElement === document.body) focusRow(list.current);
      });
    }
    had.current = asking !== null;
  }, [asking, list]);
  return [asking, ask] as const;
}

/** Esc closes the overlay and clears the selection; it never changes a session. */
function useEscape(close: () => void): void {
  const newest = useRef(close);
  newest.current = close;
  useEffect(() => {
    const listen = (event: globalThis.KeyboardEvent): void => {
      if (event.key === "Escape" && !event.defaultPrevented && !isInDialog(event.target)) newest.current();
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);
}

function isInDialog(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("[role=dialog],[role=alertdialog],[role=menu]") !== null;
}

type BarProps = {
  readonly look: Look;
  readonly onLook: (look: Look) => void;
  readonly words: string;
  readonly onEnter: () => void;
};

function Bar({ look, onLook, words, onEnter }: BarProps): ReactNode {
  const field = useRef<HTMLInputElement>(null);
  useActions([{ id: "filter.focus", label: "Filter the list", run: () => field.current?.select() }]);
  return (
    <div className={style.bar}>
      <h1>Fleet</h1>
      <FilterField
        value={look.q}
        onChange={q => onLook({ ...look, q })}
        field={field}
        keys={keysOf("filter.focus", isMac)[0]}
        onEnter={onEnter}
        placeholder="Filter: words, status:working, repo:shop …"
      />
      <span className={style.count} role="status">
        {words}
      </span>
      <span className={style.gap} />
      <Pick label="Group" value={look.group} choices={GROUPINGS} onChange={group => onLook({ ...look, group })} />
      <Pick label="Sort" value={look.sort} choices={SORTS} onChange={sort => onLook({ ...look, sort })} />
    </div>
  );
}

function Welcome(): ReactNode {
  const mayChange = useMayChange();
  const act = mayChange ? (
    <Button kind="primary" onClick={() => runAction("session.new")}>
      New Session
    </Button>
  ) : undefined;
  return (
    <Empty act={act}>
      No sessions now. Start one here or with <code>fleet new</code> in a repository; those that ended before today are
      in the <Link to="/history">history</Link>.
    </Empty>
  );
}
