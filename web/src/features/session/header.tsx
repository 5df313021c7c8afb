/** The head of a session: its title, its status, and its actions. */
import { Ellipsis, Square } from "lucide-react";
import { type ReactNode, useState } from "react";
import { isMac } from "../../browser/platform.ts";
import { keysOf } from "../../core/keymap.ts";
import { isInTurn, lookOf, strategyWord } from "../../core/status.ts";
import { age, baseName, compact, money, oneLine, plain } from "../../core/text.ts";
import { moment } from "../../core/times.ts";
import { useNow } from "../../state/clock.ts";
import { Badge } from "../../ui/badge.tsx";
import { Button, IconButton } from "../../ui/button.tsx";
import { Mark } from "../../ui/mark.tsx";
import { Menu, type MenuEntry } from "../../ui/menu.tsx";
import type { SessionDetail } from "../../wire/api.ts";
import type { SessionItem } from "../../wire/types.ts";
import { Allowed } from "./allowed.tsx";
import { useDialogs } from "./dialogs/dialogs.tsx";
import style from "./header.module.css";
import { useOpen } from "./open.tsx";
import { Title } from "./title.tsx";
import { useRevive } from "./use-revive.ts";
import { useAbort } from "./use-session-actions.ts";

type HeaderProps = { readonly detail: SessionDetail | undefined; readonly travel: (at: number | null) => void };

export function Header({ detail, travel }: HeaderProps): ReactNode {
  const { item, at } = useOpen();
  const [isRenaming, setRenaming] = useState(false);
  return (
    <header className={style.header}>
      <div className={style.line}>
        <Title isEditing={isRenaming} edit={setRenaming} />
        <Status item={item} isPast={at !== null} />
        <span className={style.gap} />
        <Abort />
        <SessionMenu detail={detail} rename={() => setRenaming(true)} travel={travel} />
      </div>
      <Facts item={item} />
      <Allowed detail={detail} />
    </header>
  );
}

function Status({ item, isPast }: { readonly item: SessionItem; readonly isPast: boolean }): ReactNode {
  const { activity } = item;
  const does = item.status === "active" && activity?.kind === "tool" && activity.tool ? `tool ${activity.tool}` : "";
  return (
    <span className={style.status} title={`${plain(item.evidence)} (seen ${moment(item.evidenceAt)})`}>
      <Mark {...lookOf(item.status)} />
      {does && <span className={style.does}>{oneLine(does, 40)}</span>}
      {!isPast && <Age sinceMs={Date.parse(item.statusSince)} />}
    </span>
  );
}

function Age({ sinceMs }: { readonly sinceMs: number }): ReactNode {
  return <span className={style.does}>{age(sinceMs, useNow())}</span>;
}

function Facts({ item }: { readonly item: SessionItem }): ReactNode {
  const place = baseName(item.repository ?? item.sourceDirectory);
  const model = item.model?.modelID;
  return (
    <div className={style.facts}>
      <span title={plain(item.directory)}>
        {oneLine(place, 40)}
        {item.branch !== null && ` ▸ ${oneLine(item.branch, 60)}`}
      </span>
      <span>{strategyWord(item.isolationStrategy)}</span>
      {(item.agent ?? model) && <span>{[item.agent, model].filter(Boolean).join(" · ")}</span>}
      <span title="What it has cost, of its budget">
        {money(item.costUsd)}
        {item.budget?.usd !== null && item.budget?.usd !== undefined && ` of ${money(item.budget.usd)}`}
      </span>
      <Context item={item} />
      {item.rehearsal && <span title="The scripted rehearsal model answers">rehearsal</span>}
      {item.queuePaused !== null && item.queued > 0 && (
        <span className={style.paused} title={plain(item.queuePaused)}>
          queue paused
        </span>
      )}
      {item.tags.map(tag => (
        <Badge key={tag}>{oneLine(tag, 40)}</Badge>
      ))}
    </div>
  );
}

function Context({ item }: { readonly item: SessionItem }): ReactNode {
  if (item.contextTokens === null) return null;
  const { contextTokens: used, contextLimit: limit } = item;
  const share = limit === null ? "" : ` (${Math.round((100 * used) / limit)} %)`;
  const title = `The model reads ${used.toLocaleString("en-US")} tokens${limit === null ? "" : ` of ${limit.toLocaleString("en-US")}`}`;
  return (
    <span title={title}>
      {compact(used)} context{share}
    </span>
  );
}

function Abort(): ReactNode {
  const { item, mayWrite } = useOpen();
  const [isAborting, setAborting] = useState(false);
  const abort = useAbort();
  const isRunning = isInTurn(item);
  if (!mayWrite || !isRunning) return null;
  return (
    <Button
      kind="danger"
      isBusy={isAborting}
      title={`Abort the running turn (${keysOf("session.abort", isMac)[0]})`}
      onClick={() => {
        setAborting(true);
        void abort().finally(() => setAborting(false));
      }}
    >
      <Square size={12} aria-hidden /> {isAborting ? "Aborting…" : "Abort"}
    </Button>
  );
}

type MenuProps = {
  readonly detail: SessionDetail | undefined;
  readonly rename: () => void;
  readonly travel: (at: number | null) => void;
};

function SessionMenu({ rename, travel }: MenuProps): ReactNode {
  const { item, transcript, at, mayWrite } = useOpen();
  const { ask } = useDialogs();
  const { isNeeded, isRemoved, label, revive } = useRevive();
  const hasOwnWorkspace = item.isolationStrategy !== "existing" && !isRemoved;
  const back: MenuEntry = {
    label: at === null ? "Go back in time" : "Back to now",
    run: () => travel(at === null ? transcript.fold.position : null),
  };
  const writes: readonly MenuEntry[] = [
    ...(isNeeded ? [{ label, run: () => void revive() }] : []),
    { label: "Rename", run: rename },
    { label: "Tags…", run: () => ask({ kind: "tags" }) },
    { label: "Budget…", run: () => ask({ kind: "budget" }) },
    { label: "Fork…", run: () => ask({ kind: "fork", turn: null }) },
    "line",
    ...(item.status === "stopped" ? [] : [{ label: "Stop…", run: () => ask({ kind: "stop" }) }]),
    ...(hasOwnWorkspace ? [{ label: "Stop and remove the workspace…", run: () => ask({ kind: "clean" }) }] : []),
    { label: "Erase…", isDanger: true, run: () => ask({ kind: "erase" }) },
  ];
  return (
    <Menu
      trigger={
        <IconButton label="More actions">
          <Ellipsis size={17} aria-hidden />
        </IconButton>
      }
      entries={mayWrite ? [back, "line", ...writes] : [back]}
    />
  );
}
