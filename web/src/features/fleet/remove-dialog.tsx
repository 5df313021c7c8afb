/** Before sessions are removed: shows for each one what is removed, what is kept, and where. */
import { memo, type ReactNode, useEffect, useState } from "react";
import { forEach } from "../../core/parallel.ts";
import { counted, oneLine } from "../../core/text.ts";
import { useCommand, useFleet, useIsConnected } from "../../state/context.tsx";
import { line } from "../../state/trouble.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import type { EndPreview } from "../../wire/types.ts";
import { PARALLEL, path } from "./bulk.ts";
import style from "./overlays.module.css";

type RemoveDialogProps = {
  readonly ids: readonly string[];
  readonly onClose: () => void;
  readonly onRemove: (ids: readonly string[], isForGood: boolean) => void;
};

/** The largest number of sessions that are shown one by one. */
const SHOW_EVERY_MS = 150;

type Looked = ReadonlyMap<string, EndPreview | string>;

export function RemoveDialog({ ids, onClose, onRemove }: RemoveDialogProps): ReactNode {
  const [isForGood, setForGood] = useState(false);
  const looked = usePreviews(ids, isForGood);
  const isConnected = useIsConnected();
  const isLooking = looked.size < ids.length;
  // If the server cannot say what would be kept, the session is not removed.
  const known = ids.filter(id => typeof looked.get(id) === "object");
  const act = `${isForGood ? "Erase" : "Remove"} ${counted(isLooking ? ids.length : known.length, "session")}`;
  const confirm = (): void => {
    onClose();
    onRemove(known, isForGood);
  };
  return (
    <Dialog
      open
      onOpenChange={open => !open && onClose()}
      title={ids.length === 1 ? "Remove the session" : `Remove ${counted(ids.length, "session")}`}
      isWide
      foot={
        <>
          {isLooking && (
            <span className={style.looking} role="status">
              Checking {looked.size.toLocaleString("en-US")} of {counted(ids.length, "session")} …
            </span>
          )}
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="danger" onClick={confirm} disabled={!isConnected || isLooking || known.length === 0}>
            {act}
          </Button>
        </>
      }
    >
      <fieldset className={style.choices}>
        <legend className="visually-hidden">What is removed</legend>
        <Choice
          isChosen={!isForGood}
          onChoose={() => setForGood(false)}
          label="Stop, and remove the worktree or clone"
          note="The conversation stays in the history. Work that exists nowhere else is kept and can be restored."
        />
        <Choice
          isChosen={isForGood}
          onChoose={() => setForGood(true)}
          label="Erase the session"
          note="Conversation, diffs and notifications are erased. This cannot be undone. Work that exists nowhere else is kept."
        />
      </fieldset>
      <ul className={style.lines} aria-label="What would happen" aria-busy={isLooking}>
        {ids.map(id => (
          <Line key={id} id={id} looked={looked.get(id)} />
        ))}
      </ul>
    </Dialog>
  );
}

type ChoiceProps = {
  readonly isChosen: boolean;
  readonly onChoose: () => void;
  readonly label: string;
  readonly note: string;
};

function Choice({ isChosen, onChoose, label, note }: ChoiceProps): ReactNode {
  return (
    <label className={style.choice}>
      <input type="radio" name="removal" checked={isChosen} onChange={onChoose} />
      <span>{label}</span>
      <span>{note}</span>
    </label>
  );
}

/** Ask what each removal would do, a few at a time. */
function usePreviews(ids: readonly string[], isForGood: boolean): Looked {
  const [looked, setLooked] = useState<{ readonly isForGood: boolean; readonly all: Looked }>({
    isForGood,
    all: new Map(),
  });
  const command = useCommand();
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked once for each choice; the ids of a dialog never change
  useEffect(() => {
    let isOver = false;
    let shownMs = 0;
    const all = new Map<string, EndPreview | string>();
    const query = `dryRun=true&${isForGood ? "permanent" : "cleanupWorkspace"}=true`;
    const look = async (id: string): Promise<void> => {
      if (isOver) return;
      const { body } = await command<EndPreview>("DELETE", `${path(id)}?${query}`);
      all.set(id, body);
    };
    const show = (): void => {
      shownMs = performance.now();
      if (!isOver) setLooked({ isForGood, all: new Map(all) });
    };
    const onDone = (): void => {
      if (performance.now() - shownMs > SHOW_EVERY_MS) show();
    };
    void forEach(ids, PARALLEL, look, line, onDone).then(outcomes => {
      for (const each of outcomes) if (each.refused !== null) all.set(each.id, each.refused);
      show();
    });
    return () => {
      isOver = true;
    };
  }, [isForGood]);
  return looked.isForGood === isForGood ? looked.all : new Map();
}

type LineProps = { readonly id: string; readonly looked: EndPreview | string | undefined };

const Line = memo(function Line({ id, looked }: LineProps): ReactNode {
  const { sessions } = useFleet().fleet;
  return (
    <li>
      <strong>{oneLine(sessions.get(id)?.title ?? id)}</strong>
      {looked === undefined ? (
        <span className={style.why}>…</span>
      ) : typeof looked === "string" ? (
        <span className={style.warn}>It stays: {oneLine(looked, 400)}</span>
      ) : (
        <Fate preview={looked} />
      )}
    </li>
  );
});

/** The result for the workspace, in one or two sentences. */
function Fate({ preview: { workspace } }: { readonly preview: EndPreview }): ReactNode {
  if (workspace === null) return <span className={style.why}>It has no workspace any more.</span>;
  const { directory, removed, reason, keptRef, ignored, ignoredMore } = workspace;
  if (!removed) {
    return (
      <span className={style.why}>
        {oneLine(directory, 120)} stays{reason === null ? "." : `: ${oneLine(reason, 200)}.`}
      </span>
    );
  }
  const lost = ignored.length + ignoredMore;
  return (
    <>
      <span className={style.why}>
        {oneLine(directory, 120)} goes.{" "}
        {keptRef === null
          ? "Nothing in it is only there."
          : `What is only there is kept under ${oneLine(keptRef, 160)}.`}
      </span>
      {lost > 0 && (
        <span className={style.warn}>
          {counted(lost, "ignored file")} would be lost: {oneLine(ignored.slice(0, 3).join(", "), 120)}
          {lost > 3 && " …"}
        </span>
      )}
    </>
  );
}
