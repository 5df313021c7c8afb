/** The end of a turn: its outcome, duration, cost and changes, and a button that forks from here. */
import { Link } from "@tanstack/react-router";
import { GitFork } from "lucide-react";
import type { ReactNode } from "react";
import { compact, duration, money } from "../../../core/text.ts";
import { Button } from "../../../ui/button.tsx";
import { LineCounts } from "../../../ui/changes.tsx";
import { cx } from "../../../ui/cx.ts";
import type { TurnItem } from "../../../wire/types.ts";
import { useDialogs } from "../dialogs/dialogs.tsx";
import { useOpen } from "../open.tsx";
import { useTurn } from "../turns.tsx";
import style from "./rows.module.css";
import { When } from "./who.tsx";

const OUTCOMES: Readonly<Record<string, { readonly shape: string; readonly word: string }>> = {
  finished: { shape: "✓", word: "finished" },
  aborted: { shape: "■", word: "aborted" },
  interrupted: { shape: "⊘", word: "interrupted" },
  error: { shape: "✕", word: "failed" },
};

/** Return how an outcome looks; an unknown one is shown as received. */
export function outcomeOf(outcome: string | null): { readonly shape: string; readonly word: string } {
  return outcome === null ? { shape: "◉", word: "working" } : (OUTCOMES[outcome] ?? { shape: "?", word: outcome });
}

export function TurnEnd({ number }: { readonly number: number }): ReactNode {
  const turn = useTurn(number);
  const { item, mayWrite } = useOpen();
  const { ask } = useDialogs();
  if (turn === undefined || turn.endedAt === null) return null;
  const { shape, word } = outcomeOf(turn.outcome);
  const took = Date.parse(turn.endedAt) - Date.parse(turn.startedAt);
  return (
    <div className={cx(style.turnEnd, turn.outcome !== "finished" && style.turnEndOther)}>
      <span>
        <span aria-hidden>{shape}</span> turn {number} {word}
      </span>
      <When ms={Date.parse(turn.endedAt)} />
      <span>{duration(took)}</span>
      {turn.costUsd > 0 && <span>{money(turn.costUsd)}</span>}
      <span title={tokensIn(turn)}>{compact(tokensOf(turn))} tokens</span>
      {turn.changes !== null && turn.changes.files > 0 && (
        <Link
          to="/s/$id"
          params={{ id: item.id }}
          search={{ tab: "diffs", turn: String(number) }}
          className={style.diffs}
        >
          <LineCounts additions={turn.changes.additions} deletions={turn.changes.deletions} />
        </Link>
      )}
      {mayWrite && (
        <Button size="small" kind="quiet" onClick={() => ask({ kind: "fork", turn })}>
          <GitFork size={13} aria-hidden /> Fork from here
        </Button>
      )}
    </div>
  );
}

function tokensOf({ tokens }: TurnItem): number {
  return tokens.input + tokens.output + tokens.reasoning + tokens.cacheRead + tokens.cacheWrite;
}

function tokensIn({ tokens }: TurnItem): string {
  const names = [
    ["input", tokens.input],
    ["output", tokens.output],
    ["reasoning", tokens.reasoning],
    ["read from the cache", tokens.cacheRead],
    ["written to the cache", tokens.cacheWrite],
  ] as const;
  return names.map(([name, count]) => `${name} ${count.toLocaleString("en-US")}`).join(", ");
}
