/** Changes the tags of a session. */
import { X } from "lucide-react";
import { type ReactNode, useState } from "react";
import { oneLine } from "../../../core/text.ts";
import { Button, IconButton } from "../../../ui/button.tsx";
import { Dialog } from "../../../ui/dialog.tsx";
import { TextField } from "../../../ui/field.tsx";
import { useAct } from "../act.ts";
import { useOpen } from "../open.tsx";
import style from "./dialogs.module.css";

const TAG_CHARS_MAX = 100;

export function TagsDialog({ onClose }: { readonly onClose: () => void }): ReactNode {
  const { item } = useOpen();
  const [tags, setTags] = useState<readonly string[]>(item.tags);
  const [typed, setTyped] = useState("");
  const { isBusy, act } = useAct();
  const all = typed.trim() === "" || tags.includes(typed.trim()) ? tags : [...tags, typed.trim()];

  async function save(): Promise<void> {
    if (await act(null, "PATCH", `/api/sessions/${item.id}`, { tags: all })) onClose();
  }

  return (
    <Dialog
      open
      onOpenChange={open => !open && onClose()}
      title="Tags"
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" isBusy={isBusy} onClick={() => void save()}>
            Save
          </Button>
        </>
      }
    >
      <form
        className={style.form}
        onSubmit={event => {
          event.preventDefault();
          setTags(all);
          setTyped("");
        }}
      >
        <div className={style.tags}>
          {tags.map(tag => (
            <span key={tag} className={style.tag}>
              {oneLine(tag, 60)}
              <IconButton
                label={`Remove ${oneLine(tag, 60)}`}
                size="small"
                onClick={() => setTags(tags.filter(each => each !== tag))}
              >
                <X size={13} aria-hidden />
              </IconButton>
            </span>
          ))}
        </div>
        <TextField
          label="New tag"
          note="Enter adds it"
          value={typed}
          maxLength={TAG_CHARS_MAX}
          onChange={event => setTyped(event.target.value)}
        />
      </form>
    </Dialog>
  );
}
