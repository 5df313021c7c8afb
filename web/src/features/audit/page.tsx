/** The audit log: every event as a sentence with who and why, filters, the proof, and the export. */
import { getRouteApi } from "@tanstack/react-router";
import { type ReactNode, useEffect, useState } from "react";
import { sessionFault, typeFault } from "../../core/log-filters.ts";
import { plain } from "../../core/text.ts";
import { useFleet } from "../../state/context.tsx";
import type { LogQuery } from "../../state/log.ts";
import { useCell } from "../../state/store.ts";
import { Button } from "../../ui/button.tsx";
import { DateField } from "../../ui/date-field.tsx";
import { Page } from "../../ui/page.tsx";
import { Empty } from "../../ui/states.tsx";
import { SuggestField } from "../../ui/suggest.tsx";
import { EVENT_TYPES } from "../../wire/events.ts";
import style from "./audit.module.css";
import { EventList, useEvents } from "./events.tsx";
import { Verify } from "./verify.tsx";

const TYPING_MS = 250;
const route = getRouteApi("/log");

type Search = ReturnType<typeof route.useSearch>;

/** Return the filters in the form that the server expects. */
function queryOf({ session, type, actor, from, to }: Search): LogQuery {
  return {
    ...(session === undefined ? {} : { session }),
    ...(type === undefined ? {} : { type }),
    ...(actor === undefined ? {} : { actor }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  };
}

export function AuditPage(): ReactNode {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const events = useEvents(queryOf(search), { until: search.at === undefined ? null : Number(search.at) });
  const { fleet } = useFleet();
  useCell(fleet.sessions.keys);
  const change = (part: Partial<Search>) =>
    // From the newest address: two fields may change at about the same time.
    void navigate({ search: (before: Search) => ({ ...before, at: undefined, ...part }), replace: true });
  const sessions = [...fleet.sessions.values()].map(each => ({ value: each.id, note: plain(each.title) }));

  return (
    <Page
      title="Log"
      acts={
        <>
          <Button onClick={() => void events.found.refetch()} isBusy={events.found.isFetching}>
            Refresh
          </Button>
          <a className={style.export} href="/api/log/export" download>
            Export
          </a>
        </>
      }
    >
      <Verify />
      <search className={style.filters}>
        <Typed
          label="Session"
          value={search.session}
          onChange={session => change({ session })}
          faultOf={sessionFault}
          suggestions={sessions}
          placeholder="Any session"
        />
        <Typed
          label="Type"
          value={search.type}
          onChange={type => change({ type })}
          faultOf={typeFault}
          suggestions={EVENT_TYPES.map(value => ({ value }))}
          placeholder="Any type"
        />
        <Typed
          label="Who"
          value={search.actor}
          onChange={actor => change({ actor })}
          suggestions={[{ value: "local" }, { value: "system" }]}
          placeholder="Anybody"
        />
        <DateField label="From" value={search.from ?? ""} onChange={from => change({ from: from || undefined })} />
        <DateField label="To" value={search.to ?? ""} onChange={to => change({ to: to || undefined })} />
      </search>
      <EventList
        {...events}
        what="The log"
        label="Events, newest first"
        empty={
          <Empty act={<Button onClick={() => void navigate({ search: {} })}>Clear the filters</Button>}>
            Nothing in the log matches.
          </Empty>
        }
      />
    </Page>
  );
}

type TypedProps = {
  readonly label: string;
  readonly value: string | undefined;
  readonly onChange: (value: string | undefined) => void;
  readonly suggestions: readonly { readonly value: string; readonly note?: string }[];
  readonly placeholder: string;
  /** The error of the typed filter: it is not sent to the server. */
  readonly faultOf?: (typed: string) => string | null;
};

/** A filter that applies when typing pauses and the text is complete. */
function Typed({ label, value, onChange, suggestions, placeholder, faultOf }: TypedProps): ReactNode {
  const [typed, setTyped] = useState(value ?? "");
  const [fault, setFault] = useState<string | null>(null);
  useEffect(() => setTyped(value ?? ""), [value]);
  useEffect(() => {
    const whole = typed.trim().replace(/\s*,\s*/g, ",");
    if ((value ?? "") === whole) return;
    const timer = setTimeout(() => {
      const found = whole === "" ? null : (faultOf?.(whole) ?? null);
      setFault(found);
      if (found === null) onChange(whole || undefined);
    }, TYPING_MS);
    return () => clearTimeout(timer);
  });
  return (
    <SuggestField
      label={label}
      value={typed}
      onChange={next => {
        setTyped(next);
        setFault(null);
      }}
      suggestions={suggestions}
      placeholder={placeholder}
      error={fault}
    />
  );
}
