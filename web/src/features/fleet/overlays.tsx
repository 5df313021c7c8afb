/** The overlays of the list: the menu of a row, confirmations, refusals. They are loaded when the first one opens. */
import { useNavigate } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { isMac } from "../../browser/platform.ts";
import { keysOf } from "../../core/keymap.ts";
import { hasEnded } from "../../core/status.ts";
import { counted, oneLine } from "../../core/text.ts";
import { useFleet, useIsConnected, useMayChange, useSession } from "../../state/context.tsx";
import { Button } from "../../ui/button.tsx";
import { Confirm, Dialog } from "../../ui/dialog.tsx";
import { MenuAt, type MenuEntry } from "../../ui/menu.tsx";
import { say } from "../../ui/toast.tsx";
import { Boundary } from "../../widgets/boundary.tsx";
import { type Bulk, canAbort, canStop, type Report } from "./bulk.ts";
import style from "./overlays.module.css";
import { RemoveDialog } from "./remove-dialog.tsx";
import type { Selection } from "./selection.ts";
import { TagDialog } from "./tag-dialog.tsx";

/** The overlay that is open. */
export type Asking =
  | { readonly kind: "menu"; readonly id: string; readonly at: Element }
  | { readonly kind: "abort" | "stop" | "tag" | "remove"; readonly ids: readonly string[] };

type OverlaysProps = {
  readonly asking: Asking | null;
  readonly bulk: Bulk;
  readonly selection: Selection;
  readonly onAsk: (asking: Asking | null) => void;
  readonly onPeek: (id: string) => void;
};

export function Overlays(props: OverlaysProps): ReactNode {
  const { asking, bulk } = props;
  return (
    <>
      {asking?.kind === "menu" && (
        <Boundary key={asking.id} what="The menu">
          <RowMenu {...props} id={asking.id} at={asking.at} />
        </Boundary>
      )}
      {asking !== null && asking.kind !== "menu" && (
        <Boundary key={asking.kind} what="The dialog">
          <Question {...props} kind={asking.kind} ids={asking.ids} />
        </Boundary>
      )}
      {bulk.report !== null && (
        <Boundary what="The report">
          <ReportDialog report={bulk.report} onClose={bulk.closeReport} />
        </Boundary>
      )}
    </>
  );
}

type QuestionProps = OverlaysProps & {
  readonly kind: "abort" | "stop" | "tag" | "remove";
  readonly ids: readonly string[];
};

function Question({ kind, ids, bulk, onAsk }: QuestionProps): ReactNode {
  const { sessions } = useFleet().fleet;
  const close = (): void => onAsk(null);
  if (kind === "tag") return <TagDialog ids={ids} onClose={close} onTag={change => bulk.tag(ids, change)} />;
  if (kind === "remove") {
    return <RemoveDialog ids={ids} onClose={close} onRemove={(those, isForGood) => bulk.remove(those, isForGood)} />;
  }
  const test = kind === "abort" ? canAbort : canStop;
  const concerned = ids.filter(id => {
    const item = sessions.get(id);
    return item !== undefined && test(item);
  });
  const confirm = (): void => {
    close();
    bulk[kind](concerned);
  };
  const act = kind === "abort" ? "Abort" : "Stop";
  return (
    <Confirm
      open
      onOpenChange={open => !open && close()}
      title={`${act} ${counted(concerned.length, "session")}?`}
      act={`${act} ${concerned.length.toLocaleString("en-US")}`}
      onConfirm={confirm}
    >
      {kind === "abort"
        ? "Their running turns are aborted. The sessions stay, and accept prompts again."
        : "Their running turns are aborted. Conversations and workspaces stay, and each session can be resumed."}
    </Confirm>
  );
}

function RowMenu({ id, at, bulk, selection, onAsk, onPeek }: OverlaysProps & { id: string; at: Element }): ReactNode {
  const item = useSession(id);
  const navigate = useNavigate();
  const mayChange = useMayChange();
  const isOff = !useIsConnected();
  if (item === undefined) return null;
  const look: MenuEntry[] = [
    {
      label: "Open",
      run: () => void navigate({ to: "/s/$id", params: { id } }),
      keys: keysOf("list.open", isMac)[0],
    },
    { label: "Peek", run: () => onPeek(id), keys: keysOf("list.peek", isMac)[0] },
    { label: "Copy the link", run: () => void copy(`${location.origin}/s/${id}`) },
  ];
  const change: MenuEntry[] = [
    { label: "Select", run: () => selection.toggle(id), keys: keysOf("list.select", isMac)[0] },
    { label: "New child session", run: () => void navigate({ to: "/new", search: { parent: id } }) },
    { label: "Tag…", run: () => onAsk({ kind: "tag", ids: [id] }), isDisabled: isOff },
    "line",
    { label: "Abort the turn", run: () => bulk.abort([id]), isDisabled: isOff || !canAbort(item) },
    hasEnded(item.status)
      ? { label: "Resume", run: () => bulk.resume([id]), isDisabled: isOff }
      : { label: "Stop", run: () => bulk.stop([id]), isDisabled: isOff },
    { label: "Remove…", run: () => onAsk({ kind: "remove", ids: [id] }), isDisabled: isOff, isDanger: true },
  ];
  // The menu closes by itself; what an entry opened meanwhile stays.
  const close = (): void => onAsk(null);
  return (
    <MenuAt
      at={at}
      label={`Menu of ${oneLine(item.title, 80)}`}
      entries={mayChange ? [...look, "line", ...change] : look}
      onClose={close}
    />
  );
}

async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say("The link is copied");
  } catch {
    say(`The browser does not let the page copy. The link is ${text}`);
  }
}

function ReportDialog({ report, onClose }: { readonly report: Report; readonly onClose: () => void }): ReactNode {
  const { sessions } = useFleet().fleet;
  const refused = report.outcomes.filter(each => each.refused !== null);
  return (
    <Dialog
      open
      onOpenChange={open => !open && onClose()}
      title={report.title}
      isWide
      foot={<Button onClick={onClose}>Close</Button>}
    >
      <ul className={style.lines}>
        {refused.map(each => (
          <li key={each.id}>
            <strong>{oneLine(sessions.get(each.id)?.title ?? each.id)}</strong>
            <span className={style.why}>{oneLine(each.refused ?? "", 400)}</span>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
