/** The workspaces: where sessions work, what removed ones have preserved, and how to restore them. */
import { type ReactNode, useState } from "react";
import { LOCAL, returnedWords } from "../../core/hosts.ts";
import { hasEnded } from "../../core/status.ts";
import { plain } from "../../core/text.ts";
import { api } from "../../state/api.ts";
import { useFleet, useIsConnected, useMayChange } from "../../state/context.tsx";
import { useAct, useRead } from "../../state/queries.ts";
import { line, said } from "../../state/trouble.ts";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { Section, pageStyle as style, Table } from "../../ui/page.tsx";
import { Empty, Loading, ProblemCard } from "../../ui/states.tsx";
import { say, sayError } from "../../ui/toast.tsx";
import { SessionLink } from "../../widgets/session-link.tsx";
import type { WorkspaceItem } from "../../wire/api.ts";

const KEY = ["workspaces"];
const PAGE = 50;

export function Workspaces(): ReactNode {
  const [offset, setOffset] = useState(0);
  const found = useRead([...KEY, offset], () =>
    api.GET("/api/workspaces", { params: { query: { limit: PAGE, offset } } }),
  );
  const items = found.data?.body ?? [];
  const total = found.data?.total ?? 0;
  return (
    <Section
      title="Workspaces"
      note="Before Fleet removes a worktree or a clone, it commits everything that exists only there under refs/fleet/ of your repository. A removed workspace can be restored."
    >
      {found.isPending && <Loading what="the workspaces" />}
      {found.isError && (
        <ProblemCard trouble={said(found.error, "The workspaces")} retry={() => void found.refetch()} />
      )}
      {found.isSuccess && items.length === 0 && <Empty>No workspace yet. The first session creates one.</Empty>}
      {items.length > 0 && (
        <Table label="Workspaces" columns={["Directory", "Strategy", "Branch", "Status", "Sessions", "Actions"]}>
          {items.map(item => (
            <Row key={item.id} item={item} />
          ))}
        </Table>
      )}
      {total > PAGE && (
        <div className={style.row}>
          <Button disabled={offset === 0} onClick={() => setOffset(offset - PAGE)}>
            Previous
          </Button>
          <span>
            {offset + 1}–{offset + items.length} of {total}
          </span>
          <Button disabled={offset + PAGE >= total} onClick={() => setOffset(offset + PAGE)}>
            Next
          </Button>
        </div>
      )}
    </Section>
  );
}

function Row({ item }: { readonly item: WorkspaceItem }): ReactNode {
  const mayChange = useMayChange();
  return (
    <tr>
      <td>
        {item.title && <strong>{plain(item.title)}</strong>} <code>{plain(item.directory)}</code>
        {item.host !== null && item.host !== LOCAL && <div className={style.note}>on {plain(item.host)}</div>}
        {item.failure && <div className={style.note}>{plain(item.failure)}</div>}
        {item.notCarried.map(each => (
          <div key={each.detail} className={style.note}>
            {plain(each.detail)}
          </div>
        ))}
        {item.ports && (
          <div className={style.note}>
            ports {item.ports.first} to {item.ports.first + item.ports.count - 1}
          </div>
        )}
        {item.teardown?.detail && <div className={style.note}>{plain(item.teardown.detail)}</div>}
        {item.returned.map(each => (
          <div key={each.ref} className={style.note}>
            {plain(returnedWords(each))}
          </div>
        ))}
        {item.kept?.ref && <div className={style.note}>kept as {item.kept.ref}</div>}
      </td>
      <td className={style.word}>{item.isolationStrategy}</td>
      <td>{item.branch === null ? "–" : plain(item.branch)}</td>
      <td className={style.word}>{item.status}</td>
      <td>
        {item.sessions.length === 0
          ? "none"
          : item.sessions.map(id => (
              <div key={id}>
                <SessionLink id={id} />
              </div>
            ))}
      </td>
      <td>{mayChange && <Acts item={item} />}</td>
    </tr>
  );
}

function Acts({ item }: { readonly item: WorkspaceItem }): ReactNode {
  const act = useAct(KEY);
  const isConnected = useIsConnected();
  const [isAsking, ask] = useState(false);
  const { sessions } = useFleet().fleet;
  const isNeeded = item.sessions.some(id => !hasEnded(sessions.get(id)?.status ?? "stopped"));
  const path = `/api/workspaces/${item.id}`;

  async function restore(): Promise<void> {
    try {
      await act.run("POST", `${path}/restore`);
      say("The workspace is restored");
    } catch (error) {
      sayError("The workspace could not be restored", line(error));
    }
  }

  async function remove(): Promise<void> {
    try {
      await act.run("DELETE", path);
      say("The workspace is removed", { label: "Restore", run: () => void restore() });
    } catch (error) {
      sayError("The workspace was not removed", line(error));
    } finally {
      ask(false);
    }
  }

  const isOff = act.isRunning || !isConnected;
  if (item.status === "removed" || (item.status === "missing" && item.isolationStrategy !== "existing"))
    return (
      <Button size="small" disabled={isOff} onClick={() => void restore()}>
        Restore
      </Button>
    );
  if (item.status !== "ready" || item.isolationStrategy === "existing" || isNeeded) return null;
  return (
    <>
      <Button size="small" kind="danger" disabled={isOff} onClick={() => ask(true)}>
        Remove…
      </Button>
      <Confirm
        open={isAsking}
        onOpenChange={ask}
        title="Remove this workspace?"
        act="Remove"
        isBusy={act.isRunning}
        onConfirm={() => void remove()}
      >
        <p>{plain(item.directory)}</p>
        <p>First, Fleet commits work that exists only there; it can be restored. Files that git ignores are lost.</p>
      </Confirm>
    </>
  );
}
