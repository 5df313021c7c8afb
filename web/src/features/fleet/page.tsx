/** The fleet: every session that has not ended, and those that ended today. */
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { type ReactNode, useEffect, useMemo, useRef } from "react";
import { isMac } from "../../browser/platform.ts";
import { rowsOf } from "../../core/groups.ts";
import { keysOf } from "../../core/keymap.ts";
import { runAction, useActions } from "../../state/actions.ts";
import { useFleet, useMayChange } from "../../state/context.tsx";
import { useCell } from "../../state/store.ts";
import { Button } from "../../ui/button.tsx";
import { Pick } from "../../ui/pick.tsx";
import { Empty, Loading, ProblemCard } from "../../ui/states.tsx";
import type { VirtualHandle } from "../../ui/virtual-list.tsx";
import { FilterField } from "./filter-field.tsx";
import style from "./fleet.module.css";
import { useOrder } from "./order.ts";
import { countWords } from "./row.tsx";
import { useSelection } from "./selection.ts";
import { SessionList } from "./session-list.tsx";
import { GROUPINGS, keepLook, type Look, lastLook, SORTS, useFolds, useView } from "./view.ts";

const AWAY = {
  title: "The server does not answer",
  detail: "No session has been fetched yet.",
  hint: "The page tries again by itself. On the machine of the server, `fleet doctor` says what is wrong.",
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
  const selection = useSelection();
  const list = useRef<VirtualHandle>(null);
  const shown = clusters.reduce((sum, each) => sum + each.places.length, 0);
  if (total === 0) return <Welcome />;
  return (
    <div className={style.page}>
      <Bar look={look} onLook={setLook} words={countWords(shown, total)} />
      {shown === 0 ? (
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
          onMenu={() => undefined}
          onPeek={() => undefined}
        />
      )}
      <div className={style.foot}>
        <Link to="/history">Older sessions are in the history</Link>
        <span className={style.gap} />
        {isWaiting && <span>The order waits while you point at the list</span>}
      </div>
    </div>
  );
}

/** The look of the address; what the address does not say is as it was last. */
function useLook(): readonly [Look, (look: Look) => void] {
  const search = useSearch({ strict: false }) as Partial<Look>;
  const last = useCell(lastLook);
  const navigate = useNavigate();
  const { q = "", group = last.group, sort = last.sort } = search;
  const look = useMemo(() => ({ q, group, sort }), [q, group, sort]);
  useEffect(() => keepLook(look), [look]);
  const setLook = (next: Look): void => {
    const said = { ...(next.q === "" ? {} : { q: next.q }), group: next.group, sort: next.sort };
    void navigate({ to: "/", search: said, replace: true });
  };
  return [look, setLook];
}

type BarProps = { readonly look: Look; readonly onLook: (look: Look) => void; readonly words: string };

function Bar({ look, onLook, words }: BarProps): ReactNode {
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
