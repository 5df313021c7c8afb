/** The actions for failures, delays, budgets, undelivered callbacks, and disabled webhooks. */
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { isMac } from "../../browser/platform.ts";
import { keysOf } from "../../core/keymap.ts";
import { useActions } from "../../state/actions.ts";
import { useCommand, useIsConnected, useSession } from "../../state/context.tsx";
import { resume } from "../../state/resume.ts";
import { Button } from "../../ui/button.tsx";
import { Keys } from "../../ui/keys.tsx";
import { type Act, useAct } from "../../widgets/act.ts";
import style from "./inbox.module.css";

/** Return the function that carries out actions, and whether they are disabled now. */
function useActs(): Act & { readonly isOff: boolean } {
  const acts = useAct(null);
  const isConnected = useIsConnected();
  return { ...acts, isOff: acts.isBusy || !isConnected };
}

type StopProps = { readonly sessionId: string; readonly acts: ReturnType<typeof useActs> };

function StopButton({ sessionId, acts: { isOff, act } }: StopProps): ReactNode {
  return (
    <Button
      kind="danger"
      disabled={isOff}
      onClick={() => void act("The session is stopped", "DELETE", `/api/sessions/${sessionId}`)}
    >
      Stop
    </Button>
  );
}

export function FailureActs({
  sessionId,
  hasKeys,
}: {
  readonly sessionId: string;
  readonly hasKeys: boolean;
}): ReactNode {
  const acts = useActs();
  const { isOff } = acts;
  const command = useCommand();
  const retry = () => void acts.carryOut("The session is resumed", () => resume(command, sessionId));
  useActions([hasKeys && !isOff && { id: "request.retry", label: "Retry", run: retry }]);
  return (
    <div className={style.acts}>
      <Button onClick={retry} disabled={isOff}>
        Resume <Keys keys={keysOf("request.retry", isMac)[0] ?? ""} isOn={hasKeys} />
      </Button>
      <Link to="/s/$id" params={{ id: sessionId }}>
        Open the session
      </Link>
      <StopButton sessionId={sessionId} acts={acts} />
    </div>
  );
}

export function DelayActs({ sessionId }: { readonly sessionId: string }): ReactNode {
  const { isOff, act } = useActs();
  return (
    <div className={style.acts}>
      <Button
        kind="danger"
        disabled={isOff}
        onClick={() => void act("The turn is aborted", "POST", `/api/sessions/${sessionId}/abort`)}
      >
        Abort the turn
      </Button>
      <Link to="/s/$id" params={{ id: sessionId }}>
        Open the session
      </Link>
    </div>
  );
}

const MORE_USD = 2;
const TIMES = 2;

export function BudgetActs({ sessionId }: { readonly sessionId: string }): ReactNode {
  const item = useSession(sessionId);
  const acts = useActs();
  const { isOff } = acts;
  const { budget } = item ?? {};
  const change = (to: Budget | null) =>
    void acts.act("The budget is changed", "PATCH", `/api/sessions/${sessionId}`, { budget: to });
  return (
    <div className={style.acts}>
      {item && budget && budget.usd !== null && (
        <Button
          disabled={isOff}
          onClick={() => change({ ...given(budget), usd: Math.max(budget.usd ?? 0, item.costUsd) + MORE_USD })}
        >
          Allow ${MORE_USD} more
        </Button>
      )}
      {budget && budget.usd === null && (
        <Button disabled={isOff} onClick={() => change(doubled(budget))}>
          Double the budget
        </Button>
      )}
      <Button disabled={isOff} onClick={() => change(null)}>
        No limit
      </Button>
      <StopButton sessionId={sessionId} acts={acts} />
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
  const { isOff, carryOut } = useActs();
  const command = useCommand();
  if (parentId === null) return null;
  const done = "The parent is resumed; the callback will be delivered";
  return (
    <div className={style.acts}>
      <Button disabled={isOff} onClick={() => void carryOut(done, () => resume(command, parentId))}>
        Resume the parent
      </Button>
      <Link to="/s/$id" params={{ id: parentId }}>
        Open the parent
      </Link>
    </div>
  );
}

export function WebhookActs({ webhookId }: { readonly webhookId: string }): ReactNode {
  const { isOff, act } = useActs();
  const path = `/api/webhooks/${webhookId}`;
  return (
    <div className={style.acts}>
      <Button disabled={isOff} onClick={() => void act("The webhook is enabled", "PATCH", path, { enabled: true })}>
        Enable it again
      </Button>
      <Button kind="danger" disabled={isOff} onClick={() => void act("The webhook is deleted", "DELETE", path)}>
        Delete it
      </Button>
    </div>
  );
}
