/** The cells of a row. Each one renders only when its own content changes. */
import { type ReactNode, useCallback, useSyncExternalStore } from "react";
import { budgetOf, doingOf, toolMs } from "../../core/doing.ts";
import { placeOf } from "../../core/filter.ts";
import { elsewhere } from "../../core/hosts.ts";
import { hasEnded, strategyWord } from "../../core/status.ts";
import { age, baseName, counted, duration, money, oneLine, plain } from "../../core/text.ts";
import { moment } from "../../core/times.ts";
import { clock } from "../../state/clock.ts";
import { useSession } from "../../state/context.tsx";
import { Badge } from "../../ui/badge.tsx";
import { LineCounts } from "../../ui/changes.tsx";
import { cx } from "../../ui/cx.ts";
import type { SessionItem } from "../../wire/types.ts";
import style from "./row.module.css";

/** Follow a text that depends on the time. One clock serves all rows; a row renders when its own text changes. */
function useTimed(words: (nowMs: number) => string): string {
  return useSyncExternalStore(
    clock.subscribe,
    useCallback(() => words(clock.get()), [words]),
  );
}

/** How long the session has been in its state. */
export function StateAge(props: { readonly item: SessionItem }): ReactNode {
  const { statusSince, evidence } = props.item;
  const sinceMs = Date.parse(statusSince);
  const words = useTimed(useCallback(nowMs => age(sinceMs, nowMs), [sinceMs]));
  const since = moment(sinceMs);
  return (
    <time dateTime={statusSince} title={`In this status since ${since}${evidence ? `: ${oneLine(evidence)}` : ""}`}>
      {words}
    </time>
  );
}

/** How long its tool has been running: a test that hangs shows here. */
function ToolTime(props: { readonly item: SessionItem }): ReactNode {
  const { item } = props;
  const words = useTimed(
    useCallback(
      nowMs => {
        const ms = toolMs(item, nowMs);
        return ms === null ? "" : `for ${age(0, ms)}`;
      },
      [item],
    ),
  );
  return words === "" ? null : <span className={style.time}>{words}</span>;
}

/** The current activity of the session, or its last line. */
export function DoingLine(props: { readonly item: SessionItem }): ReactNode {
  const { item } = props;
  const { kind, lead, text } = doingOf(item);
  return (
    <span className={style.doing} data-kind={kind}>
      {item.queued > 0 && <Badge title={`${counted(item.queued, "prompt")} in the queue`}>{item.queued} queued</Badge>}
      {lead && <span className={style.lead}>{lead}</span>}
      <span className={style.words} title={text}>
        {text}
      </span>
      <ToolTime item={item} />
    </span>
  );
}

export function PlaceName(props: { readonly item: SessionItem }): ReactNode {
  const { item } = props;
  const branch = item.branch === null ? "" : `\nbranch ${item.branch}`;
  const host = elsewhere(item);
  return (
    <span
      title={plain(
        `${item.directory}${branch}${host === null ? "" : `\n${strategyWord(item.isolationStrategy)} on the host ${host}`}`,
      )}
    >
      {oneLine(baseName(placeOf(item)))}{" "}
      <span className={style.faint}>· {host === null ? strategyWord(item.isolationStrategy) : oneLine(host, 40)}</span>
    </span>
  );
}

export function Cost(props: { readonly item: SessionItem }): ReactNode {
  const { item } = props;
  const budget = budgetOf(item);
  const usd = item.budget?.usd;
  const title = `${duration(item.runningMs)} of work${budget ? `, ${budget.words}` : ""}`;
  return (
    <span title={title} className={cx(budget !== null && budget.used >= 0.8 && style.scarce)}>
      {money(item.costUsd)}
      {usd !== null && usd !== undefined && <span className={style.budget}> of {money(usd).replace(/\.00$/, "")}</span>}
    </span>
  );
}

export function Changes(props: { readonly item: SessionItem }): ReactNode {
  const { changes } = props.item;
  if (changes === null || changes.files === 0) return null;
  return (
    <span title={`${counted(changes.files, "file")} changed`}>
      <LineCounts additions={changes.additions} deletions={changes.deletions} />
    </span>
  );
}

const TAGS_SHOWN = 2;

export function Tags(props: { readonly tags: readonly string[] }): ReactNode {
  const { tags } = props;
  if (tags.length === 0) return null;
  const more = tags.length - TAGS_SHOWN;
  return (
    <span className={style.tags} title={plain(tags.join(", "))}>
      {tags.slice(0, TAGS_SHOWN).map(tag => (
        <Badge key={tag}>{oneLine(tag, 24)}</Badge>
      ))}
      {more > 0 && <Badge>+{more}</Badge>}
    </span>
  );
}

/** The parent of the session, if the row is not below the parent's row. */
export function ParentName(props: { readonly id: string }): ReactNode {
  const parent = useSession(props.id);
  if (parent === undefined) return null;
  return <span className={style.faint}>of {oneLine(parent.title, 60)}</span>;
}

/** Whether the session has ended: its row is less prominent then. */
export function isOver(item: SessionItem): boolean {
  return hasEnded(item.status) && item.status !== "disconnected";
}
