/** Says that the session has ended, and brings it back. */
import type { ReactNode } from "react";
import { hasEnded, lookOf } from "../../core/status.ts";
import { age, oneLine } from "../../core/text.ts";
import { useNow } from "../../state/clock.ts";
import { Button } from "../../ui/button.tsx";
import { Mark } from "../../ui/mark.tsx";
import { useAct } from "./act.ts";
import { useOpen } from "./open.tsx";
import style from "./page.module.css";

export function EndedBar({ isSubAgent = false }: { readonly isSubAgent?: boolean }): ReactNode {
  const { item, at } = useOpen();
  if (isSubAgent) return <p className={style.bar}>A sub-agent takes no prompts of its own.</p>;
  if (at !== null)
    return (
      <p className={style.bar}>This is how it was: nothing can be changed here. Files are shown as they are now.</p>
    );
  return hasEnded(item.status) ? <Bar /> : null;
}

function Bar(): ReactNode {
  const { item, mayWrite } = useOpen();
  const { isBusy, act } = useAct();
  const now = useNow();
  return (
    <div className={style.bar}>
      <Mark {...lookOf(item.status)} />
      <span className={style.evidence} title={item.evidence}>
        {item.endedAt !== null && `${age(Date.parse(item.endedAt), now)} ago · `}
        {oneLine(item.failure?.detail ?? item.evidence)}
      </span>
      {mayWrite && (
        <Button
          size="small"
          isBusy={isBusy}
          onClick={() => void act("The session is back", "POST", `/api/sessions/${item.id}/resume`)}
        >
          {isBusy ? "Resuming…" : "Resume"}
        </Button>
      )}
    </div>
  );
}
