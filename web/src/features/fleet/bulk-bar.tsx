/** The bar with the actions for the selected sessions. */
import { X } from "lucide-react";
import type { ReactNode } from "react";
import { counted } from "../../core/text.ts";
import { useFleet, useIsConnected } from "../../state/context.tsx";
import { useCell } from "../../state/store.ts";
import { Button, IconButton } from "../../ui/button.tsx";
import { canAbort, canStop, type Progress } from "./bulk.ts";
import style from "./bulk-bar.module.css";
import type { Asking } from "./overlays.tsx";
import type { Selection } from "./selection.ts";

type BulkBarProps = {
  readonly selection: Selection;
  /** The sessions that the list shows, in order. */
  readonly shown: readonly string[];
  readonly progress: Progress | null;
  readonly onAsk: (asking: Asking) => void;
};

export function BulkBar({ selection, shown, progress, onAsk }: BulkBarProps): ReactNode {
  const ids = useCell(selection.ids);
  if (progress !== null) return <Running progress={progress} />;
  if (ids.length === 0) return null;
  return <Chosen ids={ids} selection={selection} shown={shown} onAsk={onAsk} />;
}

function Running({ progress }: { readonly progress: Progress }): ReactNode {
  const { words, done, total } = progress;
  return (
    <div className={style.bar} role="status">
      <span>
        {words} {done.toLocaleString("en-US")} of {counted(total, "session")} …
      </span>
      <progress className={style.progress} value={done} max={total} aria-label={words} />
    </div>
  );
}

function Chosen(props: Omit<BulkBarProps, "progress"> & { readonly ids: readonly string[] }): ReactNode {
  const { ids, selection, shown, onAsk } = props;
  const { sessions } = useFleet().fleet;
  // The sessions that can be aborted change while the bar is shown.
  useCell(sessions.version);
  const isConnected = useIsConnected();
  const items = ids.flatMap(id => sessions.get(id) ?? []);
  const inSight = new Set(shown);
  const hidden = ids.filter(id => !inSight.has(id)).length;
  const aborts = items.filter(canAbort).length;
  const stops = items.filter(canStop).length;
  return (
    <div className={style.bar} role="toolbar" aria-label="Selected sessions">
      <span className={style.count} role="status">
        {counted(ids.length, "session")} selected{hidden > 0 && ` (${hidden} not in the list)`}
      </span>
      <Button size="small" disabled={!isConnected || aborts === 0} onClick={() => onAsk({ kind: "abort", ids })}>
        Abort {aborts || ""}
      </Button>
      <Button size="small" disabled={!isConnected || stops === 0} onClick={() => onAsk({ kind: "stop", ids })}>
        Stop {stops || ""}
      </Button>
      <Button size="small" disabled={!isConnected} onClick={() => onAsk({ kind: "tag", ids })}>
        Tag…
      </Button>
      <Button size="small" kind="danger" disabled={!isConnected} onClick={() => onAsk({ kind: "remove", ids })}>
        Remove…
      </Button>
      <span className={style.gap} />
      {ids.length < shown.length && (
        <Button size="small" kind="quiet" onClick={() => selection.addAll(shown)}>
          Select all {shown.length.toLocaleString("en-US")}
        </Button>
      )}
      <IconButton label="Clear the selection" size="small" onClick={() => selection.clear()}>
        <X size={14} />
      </IconButton>
    </div>
  );
}
