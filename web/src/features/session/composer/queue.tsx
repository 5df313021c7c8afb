/** The prompts that wait: change one, take it back, or give it to the turn that runs. */
import { CornerDownRight, Pencil, X } from "lucide-react";
import { type ReactNode, useState } from "react";
import { counted, oneLine, plain } from "../../../core/text.ts";
import { useQueue } from "../../../state/session.ts";
import { Button, IconButton } from "../../../ui/button.tsx";
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
        <span>{counted(waiting.length, "prompt waits", "prompts wait")}</span>
        {item.queuePaused !== null && <span className={style.paused}>{`paused: ${plain(item.queuePaused)}`}</span>}
      </div>
      <ol className={style.waiting}>
        {waiting.map(each => (
          <Queued key={each.id} queued={each} />
        ))}
      </ol>
    </section>
  );
}

function Queued({ queued }: { readonly queued: QueuedItem }): ReactNode {
  const { item, mayWrite } = useOpen();
  const [isEditing, setEditing] = useState(false);
  const { isBusy, act } = useAct();
  const path = `/api/sessions/${item.id}/queue/${queued.id}`;
  const text = queued.command ? `/${queued.command} ${queued.text}` : queued.text;
  if (isEditing) return <Edit queued={queued} path={path} done={() => setEditing(false)} />;
  return (
    <li className={style.queued}>
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
              onClick={() => act("The prompt is given to the turn", "POST", `${path}/steer`)}
            >
              <CornerDownRight size={13} aria-hidden /> Steer now
            </Button>
          )}
          <IconButton label="Change" size="small" onClick={() => setEditing(true)}>
            <Pencil size={13} aria-hidden />
          </IconButton>
          <IconButton
            label="Take back"
            size="small"
            disabled={isBusy}
            onClick={() => act("Taken back", "DELETE", path)}
          >
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
          className={style.text}
          aria-label="Waiting prompt"
          // biome-ignore lint/a11y/noAutofocus: the person has just asked for this field
          autoFocus
          value={text}
          readOnly={isBusy}
          onChange={event => setText(event.target.value)}
          onKeyDown={event => event.key === "Escape" && done()}
        />
        <div className={style.acts}>
          <Button size="small" kind="primary" type="submit" isBusy={isBusy} disabled={text.trim() === ""}>
            Save
          </Button>
          <Button size="small" onClick={done}>
            Back
          </Button>
        </div>
      </form>
    </li>
  );
}
