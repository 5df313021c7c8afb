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

function Entries({ entries }: { readonly entries: readonly MenuEntry[] }): ReactNode {
  return entries.map((entry, index) =>
    entry === "line" ? (
      // biome-ignore lint/suspicious/noArrayIndexKey: a line has no other name
      <Base.Separator key={index} className={style.line} />
    ) : (
      <Base.Item
        key={entry.label}
        className={cx(style.item, entry.isDanger && style.danger)}
        disabled={entry.isDisabled ?? false}
        onClick={entry.run}
      >
        {entry.label}
        {entry.keys && <Keys keys={entry.keys} />}
      </Base.Item>
    ),
  );
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
