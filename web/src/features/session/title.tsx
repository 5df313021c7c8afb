/** The title, which can be edited in place. */
import { Pencil } from "lucide-react";
import { type ReactNode, useState } from "react";
import { oneLine } from "../../core/text.ts";
import { useFleet } from "../../state/context.tsx";
import { useCell } from "../../state/store.ts";
import { IconButton } from "../../ui/button.tsx";
import { useAct } from "./act.ts";
import style from "./header.module.css";
import { useOpen } from "./open.tsx";

const TITLE_CHARS_MAX = 200;

type TitleProps = { readonly isEditing: boolean; readonly edit: (isEditing: boolean) => void };

export function Title({ isEditing, edit }: TitleProps): ReactNode {
  const { item, mayWrite, mayDraft } = useOpen();
  if (isEditing && mayDraft) return <Field done={() => edit(false)} />;
  return (
    <div className={style.title}>
      <h1 className={style.name} title={oneLine(item.title)}>
        {oneLine(item.title)}
      </h1>
      {mayWrite && (
        <IconButton label="Rename" size="small" className={style.pencil} onClick={() => edit(true)}>
          <Pencil size={13} aria-hidden />
        </IconButton>
      )}
    </div>
  );
}

function Field({ done }: { readonly done: () => void }): ReactNode {
  const { item } = useOpen();
  const [text, setText] = useState(item.title);
  const { isBusy, act } = useAct();
  const max = useCell(useFleet().info)?.limits.titleChars ?? TITLE_CHARS_MAX;
  async function save(): Promise<void> {
    const title = text.trim();
    if (title === "" || title === item.title || (await act(null, "PATCH", `/api/sessions/${item.id}`, { title })))
      done();
  }
  return (
    <form
      className={style.title}
      onSubmit={event => {
        event.preventDefault();
        void save();
      }}
    >
      <input
        aria-label="Title"
        className={style.field}
        // biome-ignore lint/a11y/noAutofocus: the person has just asked for this field
        autoFocus
        value={text}
        maxLength={max}
        readOnly={isBusy}
        onFocus={event => event.target.select()}
        onChange={event => setText(event.target.value)}
        onBlur={() => void save()}
        onKeyDown={event => {
          if (event.key !== "Escape") return;
          event.stopPropagation();
          done();
        }}
      />
    </form>
  );
}
