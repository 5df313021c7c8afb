/** Access tokens: an operator sees them, revokes them, and makes links that log a browser in. The server makes tokens. */
import { type ReactNode, useState } from "react";
import { moment } from "../../core/times.ts";
import { api } from "../../state/api.ts";
import { useFleet, useIsConnected } from "../../state/context.tsx";
import { useAct, useRead } from "../../state/queries.ts";
import { useCell } from "../../state/store.ts";
import { line, said } from "../../state/trouble.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy.tsx";
import { Confirm, Dialog } from "../../ui/dialog.tsx";
import { pageStyle as style, Table } from "../../ui/page.tsx";
import { Loading, ProblemCard } from "../../ui/states.tsx";
import { say, sayError } from "../../ui/toast.tsx";
import { Age } from "../../widgets/age.tsx";
import type { AccessTokenItem, LoginLinkItem } from "../../wire/api.ts";

const KEY = ["tokens"];
const LIMIT = 200;

/** How a token is made: on the server's own machine alone. */
export function HowTokensAreMade(): ReactNode {
  return (
    <p className={style.note}>
      A new token is made on the server's machine: <code>fleet token new --role operator --name NAME</code>, or{" "}
      <code>fleet token new --role viewer --name NAME</code> for a person who may only look.
    </p>
  );
}

export function Tokens(): ReactNode {
  const found = useRead(KEY, () => api.GET("/api/tokens", { params: { query: { limit: LIMIT } } }));
  const items = found.data?.body ?? [];
  return (
    <>
      {found.isPending && <Loading what="the tokens" />}
      {found.isError && <ProblemCard trouble={said(found.error, "The tokens")} retry={() => void found.refetch()} />}
      {items.length > 0 && (
        <Table label="Access tokens" columns={["Name", "Role", "Status", "Created", "Expires", ""]}>
          {items.map(item => (
            <Row key={item.name} item={item} />
          ))}
        </Table>
      )}
    </>
  );
}

function Row({ item }: { readonly item: AccessTokenItem }): ReactNode {
  const isYours = useCell(useFleet().caller)?.actor === `token:${item.name}`;
  return (
    <tr>
      <td>
        {item.name}
        {isYours && <div className={style.note}>you</div>}
      </td>
      <td>{item.role}</td>
      <td>{item.status}</td>
      <td>
        <Age at={item.createdAt} />
      </td>
      <td className={style.word}>{item.expiresAt === null ? "never" : moment(item.expiresAt)}</td>
      <td>{item.status === "active" && <Acts name={item.name} isYours={isYours} />}</td>
    </tr>
  );
}

function Acts({ name, isYours }: { readonly name: string; readonly isYours: boolean }): ReactNode {
  const act = useAct(KEY);
  const isConnected = useIsConnected();
  const [isAsking, ask] = useState(false);
  const [link, setLink] = useState<LoginLinkItem | null>(null);
  const path = `/api/tokens/${encodeURIComponent(name)}`;
  const isOff = act.isRunning || !isConnected;

  async function makeLink(): Promise<void> {
    try {
      setLink(await act.run<LoginLinkItem>("POST", `${path}/link`));
    } catch (error) {
      sayError("The login link was not created", line(error));
    }
  }

  async function revoke(): Promise<void> {
    try {
      await act.run("DELETE", path);
      say(`The token ${name} is revoked`);
    } catch (error) {
      sayError("The token was not revoked", line(error));
    } finally {
      ask(false);
    }
  }

  return (
    <div className={style.acts}>
      <Button size="small" disabled={isOff} onClick={() => void makeLink()}>
        Login link
      </Button>
      <Button size="small" kind="danger" disabled={isOff} onClick={() => ask(true)}>
        Revoke…
      </Button>
      <LinkDialog name={name} link={link} onClose={() => setLink(null)} />
      <Confirm
        open={isAsking}
        onOpenChange={ask}
        title={`Revoke the token ${name}?`}
        act="Revoke"
        isBusy={act.isRunning}
        onConfirm={() => void revoke()}
      >
        <p>It gives no access from now on: its streams end, and its browsers are logged out. This cannot be undone.</p>
        {isYours && <p>You are logged in with this token, so this page is logged out, too.</p>}
      </Confirm>
    </div>
  );
}

type LinkDialogProps = { readonly name: string; readonly link: LoginLinkItem | null; readonly onClose: () => void };

function LinkDialog({ name, link, onClose }: LinkDialogProps): ReactNode {
  const address = link && new URL(link.path, location.origin).href;
  return (
    <Dialog open={link !== null} onOpenChange={open => !open && onClose()} title={`Login link for ${name}`}>
      <p>
        It logs in one browser as {name}, once{link && `, until ${moment(link.expiresAt)}`}. It is not shown again: copy
        it into the address bar of that browser.
      </p>
      {address && (
        <p className={style.row}>
          <code>{address}</code> <CopyButton text={address} label="Copy the link" />
        </p>
      )}
    </Dialog>
  );
}
