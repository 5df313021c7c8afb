/** The waiting prompts: edit one, withdraw it, or send it into the running turn. */
import { CornerDownRight, Pencil, X } from "lucide-react";
import { type ReactNode, type RefObject, useEffect, useRef, useState } from "react";
import { isCoarse, isMac } from "../../../browser/platform.ts";
import { counted, oneLine, plain } from "../../../core/text.ts";
import { runAction } from "../../../state/actions.ts";
import { useQueue } from "../../../state/session.ts";
import { Button, IconButton } from "../../../ui/button.tsx";
import { Keys } from "../../../ui/keys.tsx";
import { say } from "../../../ui/toast.tsx";
import type { QueuedItem } from "../../../wire/types.ts";
import { useAct } from "../act.ts";
import { useOpen } from "../open.tsx";
import style from "./composer.module.css";

export function Queue(): ReactNode {
  const { item, at } = useOpen();
  const { data: waiting = [] } = useQueue(item.id, at);
  if (waiting.length === 0) return null;
  return (
    <section className={style.queue} aria-label="Queue">
      <div className={style.queueHead}>
        {counted(waiting.length, "prompt waits", "prompts wait")}
        {item.queuePaused !== null && (
          <>
            , <span className={style.paused}>paused</span>: {plain(item.queuePaused)}
          </>
        )}
      </div>
      <ol className={style.waiting}>
        {waiting.map(each => (
          <Queued key={each.id} queued={each} />
        ))}
      </ol>
    </section>
  );
}

/** Withdraw a prompt, and offer to send it again. Files exist only in the queue, so a prompt with files cannot be sent again. */
function useTakeBack(queued: QueuedItem): () => Promise<boolean> {
  const { item } = useOpen();
  const { act } = useAct();
  const path = `/api/sessions/${item.id}`;
  const { agent, model, command, text } = queued;
  const choice = { ...(agent === null ? {} : { agent }), ...(model === null ? {} : { model }) };
  const again = (): void =>
    void (command === null
      ? act(null, "POST", `${path}/prompt`, { text, ...choice })
      : act(null, "POST", `${path}/command`, { command, arguments: text, ...choice }));
  return async () => {
    if (!(await act(null, "DELETE", `${path}/queue/${queued.id}`))) return false;
    say("Withdrawn", queued.attachments > 0 ? undefined : { label: "Put it back at the end of the queue", run: again });
    return true;
  };
}

/** Carry out what removes a row, and give its focus to its neighbour, else to the box. */
async function leave(row: HTMLElement | null, order: () => Promise<boolean>): Promise<void> {
  // The row may disappear before the answer arrives.
  const beside = row?.nextElementSibling ?? row?.previousElementSibling;
  if (!(await order())) return;
  const button = beside?.querySelector("button");
  if (button) button.focus();
  else if (!isCoarse()) runAction("composer.focus");
}

/** Return a ref for the button that opened the editor: it gets the focus back when the editor closes. */
function useReturn(isEditing: boolean): RefObject<HTMLButtonElement | null> {
  const opener = useRef<HTMLButtonElement>(null);
  const wasEditing = useRef(false);
  useEffect(() => {
    if (wasEditing.current && !isEditing) opener.current?.focus();
    wasEditing.current = isEditing;
  }, [isEditing]);
  return opener;
}

function Queued({ queued }: { readonly queued: QueuedItem }): ReactNode {
  const { item, mayWrite } = useOpen();
  const [isEditing, setEditing] = useState(false);
  const { isBusy, act } = useAct();
  const takeBack = useTakeBack(queued);
  const row = useRef<HTMLLIElement>(null);
  const opener = useReturn(isEditing);
  const path = `/api/sessions/${item.id}/queue/${queued.id}`;
  const text = queued.command ? `/${queued.command} ${queued.text}` : queued.text;
  if (isEditing) return <Edit queued={queued} path={path} done={() => setEditing(false)} />;
  return (
    <li className={style.queued} ref={row}>
      <span className={style.queuedText} title={plain(text.slice(0, 2_000))}>
        {oneLine(text)}
        {queued.attachments > 0 && ` · ${counted(queued.attachments, "file")}`}
      </span>
      {mayWrite && (
        <>
          {item.status === "active" && (
            <Button
              size="small"
              kind="quiet"
              isBusy={isBusy}
              onClick={() => void leave(row.current, () => act("Sent into the running turn", "POST", `${path}/steer`))}
            >
              <CornerDownRight size={13} aria-hidden /> Steer now
            </Button>
          )}
          <IconButton label="Change" size="small" ref={opener} onClick={() => setEditing(true)}>
            <Pencil size={13} aria-hidden />
          </IconButton>
          <IconButton label="Withdraw" size="small" disabled={isBusy} onClick={() => void leave(row.current, takeBack)}>
            <X size={14} aria-hidden />
          </IconButton>
        </>
      )}
    </li>
  );
}

type EditProps = { readonly queued: QueuedItem; readonly path: string; readonly done: () => void };

function Edit({ queued, path, done }: EditProps): ReactNode {
  const [text, setText] = useState(queued.text);
  const { isBusy, act } = useAct();
  async function save(): Promise<void> {
    if (text.trim() === "") return;
    if (text === queued.text || (await act(null, "PATCH", path, { text }))) done();
  }
  return (
    <li className={style.queued}>
      <form
        className={style.edit}
        onSubmit={event => {
          event.preventDefault();
          void save();
        }}
      >
        <textarea
          className={style.editText}
          aria-label="Waiting prompt"
          rows={4}
          // biome-ignore lint/a11y/noAutofocus: the person has just asked for this field
          autoFocus
          value={text}
          readOnly={isBusy}
          onChange={event => setText(event.target.value)}
          onKeyDown={event => {
            if (event.key === "Escape") done();
            else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void save();
          }}
        />
        <div className={style.acts}>
          <Button size="small" kind="primary" type="submit" isBusy={isBusy} disabled={text.trim() === ""}>
            Save <Keys keys={isMac ? "⌘↵" : "Ctrl+↵"} />
          </Button>
          <Button size="small" onClick={done}>
            Back
          </Button>
        </div>
      </form>
    </li>
  );
}
