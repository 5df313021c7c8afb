/** A menu behind a button. */
import { Menu as Base } from "@base-ui/react/menu";
import { type ReactElement, type ReactNode, useState } from "react";
import { cx } from "./cx.ts";
import { Keys } from "./keys.tsx";
import style from "./menu.module.css";

export type MenuEntry =
  | {
      readonly label: string;
      readonly run: () => void;
      readonly keys?: string | undefined;
      readonly isDanger?: boolean;
      readonly isDisabled?: boolean;
    }
  | "line";

type MenuProps = {
  readonly trigger: ReactElement;
  readonly entries: readonly MenuEntry[];
  readonly align?: "start" | "end";
};

export function Menu({ trigger, entries, align = "end" }: MenuProps): ReactNode {
  return (
    <Base.Root>
      <Base.Trigger render={trigger} />
      <Base.Portal>
        <Base.Positioner sideOffset={4} align={align}>
          <Base.Popup className={style.popup}>
            <Entries entries={entries} />
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}

/** The entries as they were when the menu was opened. What does not apply any more keeps its place, and is disabled. */
function Entries({ entries }: { readonly entries: readonly MenuEntry[] }): ReactNode {
  const [places] = useState(entries);
  return places.map((place, index) => {
    if (place === "line")
      // biome-ignore lint/suspicious/noArrayIndexKey: a line has no other name
      return <Base.Separator key={index} className={style.line} />;
    const entry = entries.find(each => each !== "line" && each.label === place.label);
    const { label, keys, isDanger, isDisabled, run } =
      entry && entry !== "line" ? entry : { ...place, isDisabled: true };
    return (
      <Base.Item
        key={label}
        className={cx(style.item, isDanger && style.danger)}
        disabled={isDisabled ?? false}
        onClick={run}
      >
        {label}
        {keys && <Keys keys={keys} />}
      </Base.Item>
    );
  });
}

type MenuAtProps = {
  /** The element at which the menu opens. The focus returns to its row, or to the element. */
  readonly at: Element;
  readonly label: string;
  readonly entries: readonly MenuEntry[];
  readonly onClose: () => void;
};

/** A menu of an element that is not a button, such as a row of a list; a key opens it. */
export function MenuAt({ at, label, entries, onClose }: MenuAtProps): ReactNode {
  const [isOpen, setOpen] = useState(true);
  return (
    <Base.Root open={isOpen} onOpenChange={setOpen} onOpenChangeComplete={open => !open && onClose()}>
      <Base.Portal>
        <Base.Positioner anchor={at} sideOffset={2} align="end">
          <Base.Popup
            className={style.popup}
            aria-label={label}
            finalFocus={() => at.closest<HTMLElement>("[role=row]") ?? (at instanceof HTMLElement ? at : null)}
          >
            <Entries entries={entries} />
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}
