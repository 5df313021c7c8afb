/** The turns of the session, each with its prompt, cost and outcome; a click leads to its beginning. */
import { Link } from "@tanstack/react-router";
import { type ReactNode, useLayoutEffect, useMemo, useRef } from "react";
import { money, oneLine } from "../../../core/text.ts";
import { type VirtualHandle, VirtualList } from "../../../ui/virtual-list.tsx";
import type { TurnItem } from "../../../wire/types.ts";
import { useOpen } from "../open.tsx";
import { outcomeOf } from "../transcript/turn-end.tsx";
import { useTurns } from "../turns.tsx";
import { Section } from "./section.tsx";
import style from "./side.module.css";

const ROW_PX = 28;
const ROWS_SHOWN = 14;

export function Outline(): ReactNode {
  const index = useTurns();
  const turns = useMemo(() => [...index.byNumber.values()], [index]);
  const rows = useMemo(() => turns.map(turn => ({ key: String(turn.number), isHead: false })), [turns]);
  const list = useRef<VirtualHandle>(null);
  const count = turns.length;
  const known = useRef(0);
  useLayoutEffect(() => {
    const box = list.current?.element;
    if (!box) return;
    // A reader who has scrolled to earlier turns stays there.
    const below = box.scrollHeight - box.scrollTop - box.clientHeight;
    if (known.current === 0 || below <= ROW_PX * (count - known.current + 1)) list.current?.reveal(count - 1);
    known.current = count;
  }, [count]);
  if (count === 0) return null;
  return (
    <Section title={`Turns ${count}`}>
      <VirtualList
        role="list"
        aria-label="Turns"
        tabIndex={0}
        className={style.turns}
        style={{ height: ROW_PX * Math.min(count, ROWS_SHOWN) }}
        rows={rows}
        kept={-1}
        handle={list}
        render={at => <Turn turn={turns[at]} count={count} />}
      />
    </Section>
  );
}

function Turn({ turn, count }: { readonly turn: TurnItem | undefined; readonly count: number }): ReactNode {
  const { item, at } = useOpen();
  if (turn === undefined) return null;
  return (
    // biome-ignore lint/a11y/useSemanticElements: the list is no <ul>, as only the rows in sight are there
    <div role="listitem" aria-setsize={count} aria-posinset={turn.number}>
      <Link
        to="/s/$id"
        params={{ id: item.id }}
        search={{ turn: String(turn.number), ...(at === null ? {} : { at: String(at) }) }}
        replace
        className={style.turn}
        title={oneLine(turn.prompt)}
      >
        <span className={style.number}>{turn.number}</span>
        <span className={style.prompt}>{oneLine(turn.prompt, 80)}</span>
        <span className={style.cost}>{turn.costUsd > 0 && money(turn.costUsd)}</span>
        <Outcome outcome={turn.outcome} />
      </Link>
    </div>
  );
}

function Outcome({ outcome }: { readonly outcome: string | null }): ReactNode {
  const { shape, word } = outcomeOf(outcome);
  return (
    <span className={style.outcome} data-outcome={outcome ?? "working"} title={word}>
      <span aria-hidden>{shape}</span>
      <span className="visually-hidden">{word}</span>
    </span>
  );
}
