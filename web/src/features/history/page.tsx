/** The history: a search through the messages and tool calls of all sessions, ended ones included. */
import { getRouteApi } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { lookOf, STATUSES } from "../../core/status.ts";
import { baseName, counted, money, plain } from "../../core/text.ts";
import { useActions } from "../../state/actions.ts";
import { api } from "../../state/api.ts";
import { useRead } from "../../state/queries.ts";
import { said } from "../../state/trouble.ts";
import { Button } from "../../ui/button.tsx";
import { LineCounts } from "../../ui/changes.tsx";
import { DateField } from "../../ui/date-field.tsx";
import { Mark } from "../../ui/mark.tsx";
import { Page } from "../../ui/page.tsx";
import { Select } from "../../ui/select.tsx";
import { Empty, Loading, ProblemCard } from "../../ui/states.tsx";
import { Age } from "../../widgets/age.tsx";
import { SessionLink } from "../../widgets/session-link.tsx";
import type { HistoryItem } from "../../wire/types.ts";
import style from "./history.module.css";
import { Snippet } from "./snippet.tsx";

const PAGE = 20;
const TYPING_MS = 200;
/** The largest number of sessions that the server counts for a search. */
const COUNTED_MAX = 1000;
const route = getRouteApi("/history");

const ANY = "any";
const CHOICES = [
  { value: ANY, label: "Any status" },
  ...STATUSES.map(value => ({ value: value as string, label: lookOf(value).word })),
];

export function HistoryPage(): ReactNode {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const box = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState(search.q ?? "");
  const offset = Number(search.offset ?? 0) || 0;
  const change = (part: Partial<typeof search>) =>
    // From the newest address: words and status may change at about the same time.
    void navigate({ search: (before: typeof search) => ({ ...before, offset: undefined, ...part }), replace: true });

  useActions([{ id: "filter.focus", label: "Search the history", run: () => box.current?.focus() }]);
  useEffect(() => {
    if ((search.q ?? "") === typed) return;
    const timer = setTimeout(() => change({ q: typed || undefined }), TYPING_MS);
    return () => clearTimeout(timer);
  });

  const query = {
    limit: PAGE,
    offset,
    ...(search.q === undefined ? {} : { search: search.q }),
    ...(search.status === undefined ? {} : { status: search.status }),
    ...(search.from === undefined ? {} : { from: search.from }),
    ...(search.to === undefined ? {} : { to: search.to }),
  };
  const found = useRead(["history", query], () => api.GET("/api/sessions/history", { params: { query } }));
  const items = found.data?.body ?? [];
  const total = found.data?.total ?? 0;
  const isNarrowed = Object.values(search).some(value => value !== undefined);

  return (
    <Page title="History">
      <search className={style.filters}>
        <input
          ref={box}
          type="search"
          className={style.box}
          placeholder="Titles, prompts, answers, tool output"
          aria-label="Search titles, prompts, answers and tool output"
          value={typed}
          onChange={event => setTyped(event.target.value)}
        />
        <Select
          label="Status"
          value={search.status ?? ANY}
          choices={CHOICES}
          onChange={status => change({ status: status === ANY ? undefined : status })}
        />
        <DateField label="From" value={search.from ?? ""} onChange={from => change({ from: from || undefined })} />
        <DateField label="To" value={search.to ?? ""} onChange={to => change({ to: to || undefined })} />
      </search>
      {found.isPending && <Loading what="the history" />}
      {found.isError && <ProblemCard trouble={said(found.error, "The history")} retry={() => void found.refetch()} />}
      {found.isSuccess && (
        <p role="status" className={style.count}>
          {counted(total, "session")}
          {search.q !== undefined && total >= COUNTED_MAX && " or more"}
        </p>
      )}
      {found.isSuccess && items.length === 0 && !isNarrowed && (
        <Empty>No sessions yet. Each session that you create stays here, also after its end.</Empty>
      )}
      {found.isSuccess && items.length === 0 && isNarrowed && (
        <Empty
          act={
            <Button
              onClick={() => {
                setTyped("");
                void navigate({ search: {} });
              }}
            >
              Clear the filters
            </Button>
          }
        >
          Nothing matches. A search looks for whole words, all of them.
        </Empty>
      )}
      <ol className={style.list}>
        {items.map(item => (
          <Row key={item.id} item={item} />
        ))}
      </ol>
      {total > PAGE && (
        <nav className={style.pages} aria-label="Pages">
          <Button disabled={offset === 0} onClick={() => change({ offset: String(Math.max(0, offset - PAGE)) })}>
            Newer
          </Button>
          <span>
            {offset + 1}–{offset + items.length} of {total.toLocaleString("en-US")}
          </span>
          <Button disabled={offset + PAGE >= total} onClick={() => change({ offset: String(offset + PAGE) })}>
            Older
          </Button>
        </nav>
      )}
    </Page>
  );
}

function Row({ item }: { readonly item: HistoryItem }): ReactNode {
  return (
    <li className={style.row}>
      <div className={style.line}>
        <Mark {...lookOf(item.status)} />
        <strong className={style.title}>
          <SessionLink id={item.id} title={item.title} hasMark={false} />
        </strong>
        <span className={style.where}>
          {plain(baseName(item.repository ?? item.directory))}
          {item.branch && ` · ${plain(item.branch)}`}
        </span>
        <span className={style.figures}>
          {item.changes !== null && item.changes.files > 0 && (
            <LineCounts additions={item.changes.additions} deletions={item.changes.deletions} />
          )}{" "}
          {money(item.costUsd)} <Age at={item.createdAt} />
        </span>
      </div>
      {item.snippet && <Snippet snippet={item.snippet} />}
    </li>
  );
}
