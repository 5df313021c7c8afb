/** Says that the session has ended or lost its conversation, and resumes it. */
import type { ReactNode } from "react";
import { lookOf } from "../../core/status.ts";
import { age, oneLine } from "../../core/text.ts";
import { runAction } from "../../state/actions.ts";
import { useNow } from "../../state/clock.ts";
import { Button } from "../../ui/button.tsx";
import { Mark } from "../../ui/mark.tsx";
import { useOpen } from "./open.tsx";
import style from "./page.module.css";
import { useRevive } from "./use-revive.ts";

export function EndedBar({ isSubAgent = false }: { readonly isSubAgent?: boolean }): ReactNode {
  const { at } = useOpen();
  if (isSubAgent) return <p className={style.bar}>A sub-agent accepts no prompts of its own.</p>;
  return at === null ? <Bar /> : null;
}

function Bar(): ReactNode {
  const { item, mayWrite } = useOpen();
  const { isNeeded, isRemoved, isBusy, label, revive } = useRevive();
  const now = useNow();
  if (!isNeeded) return null;
  return (
    <div className={style.bar}>
      <Mark {...lookOf(item.status)} />
      <span className={style.evidence} title={item.evidence}>
        {item.endedAt !== null && `${age(Date.parse(item.endedAt), now)} ago · `}
        {isRemoved ? "its workspace was removed" : oneLine(item.failure?.detail ?? item.evidence)}
      </span>
      {mayWrite && (
        <Button
          size="small"
          isBusy={isBusy}
          onClick={() => void revive().then(isBack => isBack && runAction("composer.focus"))}
        >
          {isBusy ? "Resuming…" : label}
        </Button>
      )}
    </div>
  );
}
