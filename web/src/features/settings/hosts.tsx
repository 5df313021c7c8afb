/** The hosts: the machines on which sessions work, with what each is, whether it answers, and what is there. */
import { type ReactNode, useState } from "react";
import { LOCAL, labelsOf, lookOfHost, memoryOf } from "../../core/hosts.ts";
import { bytes, counted, oneLine, plain } from "../../core/text.ts";
import { useIsConnected, useMayChange } from "../../state/context.tsx";
import { HOSTS_KEY, useHosts } from "../../state/hosts.ts";
import { useAct } from "../../state/queries.ts";
import { line, said } from "../../state/trouble.ts";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { Mark } from "../../ui/mark.tsx";
import { Section, pageStyle as style, Table } from "../../ui/page.tsx";
import { Loading, ProblemCard } from "../../ui/states.tsx";
import { say, sayError } from "../../ui/toast.tsx";
import { Age } from "../../widgets/age.tsx";
import type { HostItem } from "../../wire/api.ts";

export function Hosts(): ReactNode {
  const { found, hosts } = useHosts();
  return (
    <Section
      title="Hosts"
      note={
        hosts.length === 1 &&
        "Sessions work only on the server's machine. With `fleet serve --hosts ray` they work on a cluster, too."
      }
    >
      {found.isPending && <Loading what="the hosts" bars={1} />}
      {found.isError && <ProblemCard trouble={said(found.error, "The hosts")} retry={() => void found.refetch()} />}
      {hosts.length > 0 && (
        <Table label="Hosts" columns={["Host", "Status", "Capacity", "In use", "Versions", ""]}>
          {hosts.map(host => (
            <Row key={host.name} host={host} />
          ))}
        </Table>
      )}
    </Section>
  );
}

function Row({ host }: { readonly host: HostItem }): ReactNode {
  const mayChange = useMayChange();
  const labels = labelsOf(host.labels);
  return (
    <tr>
      <td>
        {plain(host.name)}
        <div className={style.note}>{host.name === LOCAL ? "the server's machine" : plain(host.address ?? "")}</div>
        {labels.length > 0 && <div className={style.note}>{oneLine(labels.join(", "))}</div>}
      </td>
      <td>
        <Mark {...lookOfHost(host)} /> <Age at={host.statusSince} />
        {host.draining && host.status !== "draining" && <div className={style.note}>draining</div>}
        {host.evidence && <div className={style.note}>{plain(host.evidence)}</div>}
      </td>
      <td className={style.word}>
        {host.cores === null ? "–" : counted(host.cores, "core")}
        <div className={style.note}>{memoryOf(host)}</div>
        {host.diskFreeBytes !== null && <div className={style.note}>{bytes(host.diskFreeBytes)} of disk free</div>}
      </td>
      <td className={style.word}>
        {counted(host.sessions, "session")}
        <div className={style.note}>{counted(host.processes, "process", "processes")}</div>
      </td>
      <td className={style.word}>
        {host.version === null ? "–" : `Fleet ${oneLine(host.version)}`}
        {host.opencodeVersion && <div className={style.note}>OpenCode {oneLine(host.opencodeVersion)}</div>}
      </td>
      <td>{mayChange && host.name !== LOCAL && (host.status !== "lost" || host.draining) && <Drain host={host} />}</td>
    </tr>
  );
}

function Drain({ host }: { readonly host: HostItem }): ReactNode {
  const act = useAct(HOSTS_KEY);
  const isConnected = useIsConnected();
  const [isAsking, ask] = useState(false);
  const path = `/api/hosts/${encodeURIComponent(host.name)}/drain`;
  const isOff = act.isRunning || !isConnected;

  async function set(method: "POST" | "DELETE", done: string): Promise<void> {
    try {
      await act.run(method, path);
      say(done);
    } catch (error) {
      sayError(`The host ${host.name} was not changed`, line(error));
    } finally {
      ask(false);
    }
  }

  if (host.draining)
    return (
      <Button size="small" disabled={isOff} onClick={() => void set("DELETE", `${host.name} takes sessions again`)}>
        Undrain
      </Button>
    );
  return (
    <>
      <Button size="small" disabled={isOff} onClick={() => ask(true)}>
        Drain…
      </Button>
      <Confirm
        open={isAsking}
        onOpenChange={ask}
        title={`Drain the host ${oneLine(host.name, 80)}?`}
        act="Drain"
        isBusy={act.isRunning}
        onConfirm={() => void set("POST", `${host.name} takes no further sessions`)}
      >
        <p>
          No further session is placed there.{" "}
          {host.sessions > 0
            ? `The ${counted(host.sessions, "session")} there will move to other hosts, each when its running turn is over.`
            : "No session is there now."}
        </p>
        <p>Undrain it to use it again.</p>
      </Confirm>
    </>
  );
}
