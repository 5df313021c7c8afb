/** The workspace roots: below which directories sessions may work. */
import { type ReactNode, useState } from "react";
import { plain } from "../../core/text.ts";
import { api } from "../../state/api.ts";
import { useIsConnected, useMayChange } from "../../state/context.tsx";
import { useAct, useRead } from "../../state/queries.ts";
import { line, said } from "../../state/trouble.ts";
import { Button } from "../../ui/button.tsx";
import { TextField } from "../../ui/field.tsx";
import { Section, pageStyle as style, Table } from "../../ui/page.tsx";
import { ProblemCard } from "../../ui/states.tsx";
import { sayError } from "../../ui/toast.tsx";

const KEY = ["roots"];

export function Roots(): ReactNode {
  const found = useRead(KEY, () => api.GET("/api/workspace-roots"));
  const mayChange = useMayChange();
  const isConnected = useIsConnected();
  const act = useAct(KEY);
  const [path, setPath] = useState("");
  const [fault, setFault] = useState<string | null>(null);

  async function add(): Promise<void> {
    try {
      await act.run("POST", "/api/workspace-roots", { path });
      setPath("");
      setFault(null);
    } catch (error) {
      setFault(line(error));
    }
  }

  async function withdraw(root: string): Promise<void> {
    try {
      await act.run("DELETE", `/api/workspace-roots?path=${encodeURIComponent(root)}`);
    } catch (error) {
      sayError("The workspace root was not removed", line(error));
    }
  }

  return (
    <Section
      title="Workspace roots"
      note="Sessions work below these directories only. Here you can narrow what the configuration allows, never widen it."
    >
      {found.isError && <ProblemCard trouble={said(found.error, "The roots")} retry={() => void found.refetch()} />}
      <Table label="Workspace roots" columns={["Directory", "Source", "Sessions may work there", ""]}>
        {(found.data?.body ?? []).map(root => (
          <tr key={`${root.source} ${root.path}`}>
            <td>
              <code>{plain(root.path)}</code>
            </td>
            <td>{root.source === "client" ? "chosen here" : "configuration"}</td>
            <td>{root.allowed ? "yes" : "no"}</td>
            <td>
              {mayChange && root.source === "client" && (
                <Button size="small" disabled={!isConnected || act.isRunning} onClick={() => void withdraw(root.path)}>
                  Remove
                </Button>
              )}
            </td>
          </tr>
        ))}
      </Table>
      {mayChange && (
        <form
          className={style.row}
          onSubmit={event => {
            event.preventDefault();
            if (path !== "") void add();
          }}
        >
          <TextField
            label="Allow only below"
            value={path}
            onChange={event => setPath(event.target.value)}
            placeholder="/home/me/projects"
            error={fault}
          />
          <Button type="submit" isBusy={act.isRunning} disabled={!isConnected || path === ""}>
            Add
          </Button>
        </form>
      )}
    </Section>
  );
}
