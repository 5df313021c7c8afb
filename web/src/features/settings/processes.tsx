/** The processes: each OpenCode process with its memory and sessions, and the workspaces with what can be done to them. */
import { type ReactNode, useState } from "react";
import { LOCAL } from "../../core/hosts.ts";
import { bytes, counted, duration, plain } from "../../core/text.ts";
import { api } from "../../state/api.ts";
import { useRead } from "../../state/queries.ts";
import { said } from "../../state/trouble.ts";
import { Check } from "../../ui/field.tsx";
import { type Look, Mark } from "../../ui/mark.tsx";
import { Page, Section, pageStyle as style, Table } from "../../ui/page.tsx";
import { Empty, Loading, ProblemCard } from "../../ui/states.tsx";
import { Age } from "../../widgets/age.tsx";
import { SessionLink } from "../../widgets/session-link.tsx";
import type { InstanceItem, OrphanItem } from "../../wire/api.ts";
import { Hosts } from "./hosts.tsx";
import { Workspaces } from "./workspaces.tsx";

const EVERY_MS = 5_000;
const LIMIT = 200;

const LOOKS: Readonly<Record<string, Look>> = {
  starting: { shape: "◌", word: "starting", tone: "starting" },
  ready: { shape: "●", word: "ready", tone: "working" },
  unreachable: { shape: "⊘", word: "does not answer", tone: "away" },
  stopping: { shape: "◌", word: "stopping", tone: "starting" },
  stopped: { shape: "■", word: "stopped", tone: "done" },
  lost: { shape: "✕", word: "lost", tone: "error" },
};

export function ProcessesPage(): ReactNode {
  const [isAll, setAll] = useState(false);
  const found = useRead(
    ["instances", isAll],
    () => api.GET("/api/instances", { params: { query: { all: isAll, limit: LIMIT } } }),
    { everyMs: EVERY_MS },
  );
  const orphans = useRead(["orphans"], () => api.GET("/api/instances/orphans"), { everyMs: EVERY_MS });
  const items = found.data?.body ?? [];
  const memory = items.reduce((sum, item) => sum + (item.memoryBytes ?? 0), 0);
  return (
    <Page title="Processes" acts={<Check label="Also ended processes" checked={isAll} onChange={setAll} />}>
      <Hosts />
      <Section
        title="OpenCode"
        note={
          items.length > 0 &&
          `${counted(items.length, "process", "processes")}, ${bytes(memory)} of memory. Sessions of one repository share a process; a clone has its own.`
        }
      >
        {found.isPending && <Loading what="the processes" />}
        {found.isError && (
          <ProblemCard trouble={said(found.error, "The processes")} retry={() => void found.refetch()} />
        )}
        {found.isSuccess && items.length === 0 && (
          <Empty>No OpenCode process runs. The first session starts one.</Empty>
        )}
        {items.length > 0 && (
          <Table
            label="OpenCode processes"
            columns={["Status", "Process", "Directory", "Sessions", "Memory", "Started"]}
          >
            {items.map(item => (
              <Row key={item.id} item={item} />
            ))}
          </Table>
        )}
        <Orphans items={orphans.data?.body ?? []} isKnown={orphans.isSuccess} />
      </Section>
      <Workspaces />
    </Page>
  );
}

function Row({ item }: { readonly item: InstanceItem }): ReactNode {
  const look = LOOKS[item.status] ?? { shape: "?", word: item.status, tone: "away" as const };
  return (
    <tr>
      <td>
        <Mark {...look} />
        <div className={style.note}>{plain(item.evidence)}</div>
        {item.exit && <div className={style.note}>{exitOf(item)}</div>}
      </td>
      <td className={style.number}>
        {item.pid ?? "–"}
        {item.host !== LOCAL && <div className={style.note}>on {plain(item.host)}</div>}
        <div className={style.note}>{item.version && `OpenCode ${item.version}`}</div>
      </td>
      <td>{plain(item.directory)}</td>
      <td>
        {item.sessions.length === 0
          ? "none"
          : item.sessions.map(id => (
              <div key={id}>
                <SessionLink id={id} />
              </div>
            ))}
      </td>
      <td className={style.number}>{item.memoryBytes === null ? "–" : bytes(item.memoryBytes)}</td>
      <td className={style.number}>
        <Age at={item.createdAt} />
        {item.endedAt && (
          <div className={style.note}>ran {duration(Date.parse(item.endedAt) - Date.parse(item.createdAt))}</div>
        )}
      </td>
    </tr>
  );
}

function exitOf({ exit, stopReason }: InstanceItem): string {
  const how =
    exit?.signal != null ? `ended by signal ${exit.signal}` : exit?.code != null ? `exit code ${exit.code}` : "ended";
  return stopReason ? `${how}: ${stopReason}` : how;
}

function Orphans(props: { readonly items: readonly OrphanItem[]; readonly isKnown: boolean }): ReactNode {
  if (!props.isKnown) return null;
  if (props.items.length === 0)
    return <p className={style.note}>There are no orphans: every process belongs to a session.</p>;
  const trouble = {
    title: `${counted(props.items.length, "process is an orphan", "processes are orphans")}`,
    detail: `They belong to no session: ${props.items.map(each => each.pid).join(", ")}.`,
    hint: "`fleet ps --orphans` shows them on the server; `kill PID` ends one.",
  };
  return <ProblemCard trouble={trouble} />;
}
