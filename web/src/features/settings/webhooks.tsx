/** Webhooks: which programs get events, the results of deliveries, and a test. */
import { type ReactNode, useState } from "react";
import { plain } from "../../core/text.ts";
import { api } from "../../state/api.ts";
import { useIsConnected } from "../../state/context.tsx";
import { useAct, useRead } from "../../state/queries.ts";
import { line, said } from "../../state/trouble.ts";
import { Button } from "../../ui/button.tsx";
import { Confirm, Dialog } from "../../ui/dialog.tsx";
import { TextField } from "../../ui/field.tsx";
import { Section, pageStyle as style, Table } from "../../ui/page.tsx";
import { Loading, ProblemCard } from "../../ui/states.tsx";
import { say, sayError } from "../../ui/toast.tsx";
import { Age } from "../../widgets/age.tsx";
import type { NewWebhookItem, WebhookItem } from "../../wire/api.ts";

const KEY = ["webhooks"];
const EVERY_MS = 10_000;

export function Webhooks(): ReactNode {
  const found = useRead(KEY, () => api.GET("/api/webhooks"), { everyMs: EVERY_MS });
  const items = found.data?.body ?? [];
  return (
    <Section
      title="Webhooks"
      note="Fleet sends signed messages about sessions to these addresses. It retries for days, also after a restart."
    >
      {found.isPending && <Loading what="the webhooks" />}
      {found.isError && <ProblemCard trouble={said(found.error, "The webhooks")} retry={() => void found.refetch()} />}
      {items.length > 0 && (
        <Table label="Webhooks" columns={["Address", "Events", "Status", "Delivered", "Actions"]}>
          {items.map(item => (
            <Row key={item.id} item={item} />
          ))}
        </Table>
      )}
      <Add />
    </Section>
  );
}

function Row({ item }: { readonly item: WebhookItem }): ReactNode {
  const act = useAct(KEY);
  const isConnected = useIsConnected();
  const [open, setOpen] = useState<"deliveries" | "delete" | null>(null);
  const path = `/api/webhooks/${item.id}`;
  const isOff = act.isRunning || !isConnected;
  const isActive = item.status === "active";

  async function run(done: string, ...sent: Parameters<typeof act.run>): Promise<void> {
    try {
      await act.run(...sent);
      say(done);
    } catch (error) {
      sayError("The webhook was not changed", line(error));
    }
  }

  return (
    <tr>
      <td>
        {plain(item.origin)}
        {item.description && <div className={style.note}>{plain(item.description)}</div>}
      </td>
      <td>{item.events.length === 0 ? "everything" : item.events.join(", ")}</td>
      <td>
        {item.status}
        {item.reason && <div className={style.note}>{plain(item.reason)}</div>}
        {item.waiting > 0 && <div className={style.note}>{item.waiting} waiting</div>}
      </td>
      <td>{item.deliveredAt ? <Age at={item.deliveredAt} /> : "never"}</td>
      <td>
        <div className={style.acts}>
          <Button
            size="small"
            disabled={isOff}
            onClick={() => void run("A test message was sent: see the deliveries", "POST", `${path}/test`)}
          >
            Test
          </Button>
          <Button size="small" onClick={() => setOpen("deliveries")}>
            Deliveries
          </Button>
          <Button
            size="small"
            disabled={isOff}
            onClick={() =>
              void run(isActive ? "The webhook is disabled" : "The webhook is enabled", "PATCH", path, {
                enabled: !isActive,
              })
            }
          >
            {isActive ? "Disable" : "Enable"}
          </Button>
          <Button size="small" kind="danger" disabled={isOff} onClick={() => setOpen("delete")}>
            Delete…
          </Button>
        </div>
        {open === "deliveries" && <Deliveries id={item.id} onClose={() => setOpen(null)} />}
        <Confirm
          open={open === "delete"}
          onOpenChange={next => !next && setOpen(null)}
          title="Delete this webhook?"
          act="Delete"
          isBusy={act.isRunning}
          onConfirm={() => void run("The webhook is deleted", "DELETE", path)}
        >
          {plain(item.origin)} gets no more messages. Its secret is deleted.
        </Confirm>
      </td>
    </tr>
  );
}

function Deliveries({ id, onClose }: { readonly id: string; readonly onClose: () => void }): ReactNode {
  const found = useRead(
    [...KEY, id],
    () => api.GET("/api/webhooks/{webhook_id}/deliveries", { params: { path: { webhook_id: id } } }),
    { everyMs: EVERY_MS },
  );
  const items = found.data?.body ?? [];
  return (
    <Dialog open onOpenChange={open => !open && onClose()} title="Deliveries" isWide>
      {found.isPending && <Loading what="the deliveries" />}
      {found.isSuccess && items.length === 0 && <p>Nothing was sent yet.</p>}
      {items.length > 0 && (
        <Table label="Deliveries" columns={["Type", "Outcome", "Attempts", "When"]}>
          {items.map(each => (
            <tr key={each.id}>
              <td>{each.type}</td>
              <td>
                {each.outcome}
                {each.status !== null && `, HTTP ${each.status}`}
                {each.detail && <div className={style.note}>{plain(each.detail)}</div>}
              </td>
              <td className={style.number}>{each.attempts}</td>
              <td>
                <Age at={each.orderedAt} />
              </td>
            </tr>
          ))}
        </Table>
      )}
    </Dialog>
  );
}

function Add(): ReactNode {
  const act = useAct(KEY);
  const isConnected = useIsConnected();
  const [url, setUrl] = useState("");
  const [description, setDescription] = useState("");
  const [fault, setFault] = useState<string | null>(null);
  const [made, setMade] = useState<NewWebhookItem | null>(null);

  async function add(): Promise<void> {
    try {
      setMade(
        await act.run<NewWebhookItem>("POST", "/api/webhooks", { url, ...(description === "" ? {} : { description }) }),
      );
      setUrl("");
      setDescription("");
      setFault(null);
    } catch (error) {
      setFault(line(error));
    }
  }

  return (
    <>
      <form
        className={style.row}
        onSubmit={event => {
          event.preventDefault();
          if (url !== "") void add();
        }}
      >
        <TextField
          label="Address"
          type="url"
          value={url}
          onChange={event => setUrl(event.target.value)}
          placeholder="https://hooks.example.com/fleet"
          error={fault}
        />
        <TextField
          label="Description"
          value={description}
          onChange={event => setDescription(event.target.value)}
          placeholder="What it is for"
        />
        <Button type="submit" isBusy={act.isRunning} disabled={!isConnected || url === ""}>
          Add
        </Button>
      </form>
      <Dialog open={made !== null} onOpenChange={open => !open && setMade(null)} title="The webhook's secret">
        <p>It is shown only once. The receiver verifies each message with it.</p>
        <pre>{made?.secret}</pre>
      </Dialog>
    </>
  );
}
