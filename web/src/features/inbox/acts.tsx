/** What can be done about failures, budgets, reports that were not delivered, and webhooks that were given up. */
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { isMac } from "../../browser/platform.ts";
import { keysOf } from "../../core/keymap.ts";
import { useActions } from "../../state/actions.ts";
import { useCommand, useIsConnected, useSession } from "../../state/context.tsx";
import { line } from "../../state/trouble.ts";
import { Button } from "../../ui/button.tsx";
import { Keys } from "../../ui/keys.tsx";
import { say, sayError } from "../../ui/toast.tsx";
import type { Method } from "../../wire/types.ts";
import style from "./inbox.module.css";

/** Return whether the act runs or cannot be sent, and what sends it. */
function useAct(done: string): readonly [boolean, (method: Method, path: string, body?: unknown) => void] {
  const [isRunning, setRunning] = useState(false);
  const isConnected = useIsConnected();
  const command = useCommand();
  async function act(method: Method, path: string, body?: unknown): Promise<void> {
    setRunning(true);
    try {
      await command(method, path, body);
      say(done);
    } catch (error) {
      sayError("That did not work", line(error));
    } finally {
      setRunning(false);
    }
  }
  return [isRunning || !isConnected, (method, path, body) => void act(method, path, body)];
}

export function FailureActs({
  sessionId,
  hasKeys,
}: {
  readonly sessionId: string;
  readonly hasKeys: boolean;
}): ReactNode {
  const [isOff, act] = useAct("The session is back");
  const retry = () => act("POST", `/api/sessions/${sessionId}/resume`);
  useActions([hasKeys && !isOff && { id: "request.retry", label: "Retry", run: retry }]);
  return (
    <div className={style.acts}>
      <Button onClick={retry} disabled={isOff}>
        Resume {hasKeys && <Keys keys={keysOf("request.retry", isMac)[0] ?? ""} />}
      </Button>
      <Link to="/s/$id" params={{ id: sessionId }}>
        Open the session
      </Link>
      <Button kind="danger" disabled={isOff} onClick={() => act("DELETE", `/api/sessions/${sessionId}`)}>
        Stop
      </Button>
    </div>
  );
}

const MORE_USD = 2;
const TIMES = 2;

export function BudgetActs({ sessionId }: { readonly sessionId: string }): ReactNode {
  const item = useSession(sessionId);
  const [isOff, act] = useAct("The budget is changed");
  const { budget } = item ?? {};
  const path = `/api/sessions/${sessionId}`;
  return (
    <div className={style.acts}>
      {item && budget && budget.usd !== null && (
        <Button
          disabled={isOff}
          onClick={() =>
            act("PATCH", path, {
              budget: { ...given(budget), usd: Math.max(budget.usd ?? 0, item.costUsd) + MORE_USD },
            })
          }
        >
          Allow ${MORE_USD} more
        </Button>
      )}
      {budget && budget.usd === null && (
        <Button disabled={isOff} onClick={() => act("PATCH", path, { budget: doubled(budget) })}>
          Double the budget
        </Button>
      )}
      <Button disabled={isOff} onClick={() => act("PATCH", path, { budget: null })}>
        No limit
      </Button>
      <Button kind="danger" disabled={isOff} onClick={() => act("DELETE", path)}>
        Stop
      </Button>
    </div>
  );
}

type Budget = { readonly usd?: number | null; readonly tokens?: number | null; readonly minutes?: number | null };

function given(budget: Budget): Budget {
  return Object.fromEntries(Object.entries(budget).filter(([, value]) => value !== null));
}

function doubled(budget: Budget): Budget {
  return Object.fromEntries(Object.entries(given(budget)).map(([name, value]) => [name, (value ?? 0) * TIMES]));
}

export function CallbackActs({ sessionId }: { readonly sessionId: string }): ReactNode {
  const parentId = useSession(sessionId)?.parentId ?? null;
  const [isOff, act] = useAct("The parent is back; the report is delivered now");
  if (parentId === null) return null;
  return (
    <div className={style.acts}>
      <Button disabled={isOff} onClick={() => act("POST", `/api/sessions/${parentId}/resume`)}>
        Resume the parent
      </Button>
      <Link to="/s/$id" params={{ id: parentId }}>
        Open the parent
      </Link>
    </div>
  );
}

export function WebhookActs({ webhookId }: { readonly webhookId: string }): ReactNode {
  const [isOff, act] = useAct("The webhook is on again");
  return (
    <div className={style.acts}>
      <Button disabled={isOff} onClick={() => act("PATCH", `/api/webhooks/${webhookId}`, { enabled: true })}>
        Switch it on again
      </Button>
      <Button kind="danger" disabled={isOff} onClick={() => act("DELETE", `/api/webhooks/${webhookId}`)}>
        Delete it
      </Button>
    </div>
  );
}
