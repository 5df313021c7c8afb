/** Tags of one or many sessions: those that some have can be given to all, or taken from all. */
import { type ReactNode, useRef, useState } from "react";
import { counted, oneLine } from "../../core/text.ts";
import { useFleet } from "../../state/context.tsx";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Check, TextField } from "../../ui/field.tsx";
import type { TagChange } from "./bulk.ts";
import style from "./overlays.module.css";

type TagDialogProps = {
  readonly ids: readonly string[];
  readonly onClose: () => void;
  readonly onTag: (change: TagChange) => void;
};

export function TagDialog({ ids, onClose, onTag }: TagDialogProps): ReactNode {
  const { sessions } = useFleet().fleet;
  const [typed, setTyped] = useState("");
  const [chosen, setChosen] = useState<ReadonlyMap<string, boolean>>(new Map());
  const field = useRef<HTMLInputElement>(null);
  const items = ids.flatMap(id => sessions.get(id) ?? []);
  const counts = new Map<string, number>();
  for (const tag of items.flatMap(item => item.tags)) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  const add = [
    ...typed
      .split(",")
      .map(tag => tag.trim())
      .filter(Boolean),
    ...[...chosen].filter(([, isOn]) => isOn).map(([tag]) => tag),
  ];
  const drop = [...chosen].filter(([, isOn]) => !isOn).map(([tag]) => tag);
  const apply = (): void => {
    onClose();
    onTag({ add, drop });
  };
  return (
    <Dialog
      open
      onOpenChange={open => !open && onClose()}
      title={ids.length === 1 ? "Tags" : `Tags of ${counted(ids.length, "session")}`}
      initialFocus={field}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" onClick={apply} disabled={add.length + drop.length === 0}>
            Save
          </Button>
        </>
      }
    >
      <form
        className={style.tags}
        onSubmit={event => {
          event.preventDefault();
          if (add.length + drop.length > 0) apply();
        }}
      >
        <TextField
          ref={field}
          label="Add tags"
          note="Separate tags by commas."
          value={typed}
          onChange={event => setTyped(event.target.value)}
        />
        {counts.size > 0 && (
          <div className={style.known}>
            {[...counts].map(([tag, count]) => (
              <Check
                key={tag}
                checked={chosen.get(tag) ?? count === items.length}
                onChange={isOn => setChosen(new Map(chosen).set(tag, isOn))}
                label={`${oneLine(tag, 60)}${count < items.length ? ` (${count} of ${items.length})` : ""}`}
              />
            ))}
          </div>
        )}
      </form>
    </Dialog>
  );
}
