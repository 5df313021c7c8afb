/** All keys, from the one table, and the switch for single letters. */
import { type ReactNode, useState } from "react";
import { isMac } from "../../browser/platform.ts";
import { readSetting, writeSetting } from "../../browser/storage.ts";
import { type Binding, KEYMAP, shown, type Where } from "../../core/keymap.ts";
import { Dialog } from "../../ui/dialog.tsx";
import { Check } from "../../ui/field.tsx";
import { Keys } from "../../ui/keys.tsx";
import style from "./keys-dialog.module.css";

const PLACES: readonly { readonly where: Where; readonly title: string }[] = [
  { where: "everywhere", title: "Everywhere" },
  { where: "list", title: "List of sessions" },
  { where: "session", title: "Session" },
  { where: "inbox", title: "Inbox" },
  { where: "changes", title: "Diffs" },
  { where: "time", title: "Time" },
];

/** The built-in keys of controls; they are not in the table, and cannot be changed. */
const FIXED: Readonly<Partial<Record<Where, readonly (readonly [label: string, keys: readonly string[]])[]>>> = {
  everywhere: [["Close what is open", ["Esc"]]],
  list: [
    ["Row by row, groups too", ["↑", "↓"]],
    ["Open, fold or unfold", ["Enter"]],
    ["Fold, unfold", ["←", "→"]],
    ["First, last row", ["Home", "End"]],
    ["Select a range", ["Shift+click"]],
  ],
  session: [
    ["Send the prompt", ["Enter"]],
    ["New line", ["Shift+Enter"]],
    ["Send into the running turn", ["Alt+Enter"]],
    ["Earlier prompts, in an empty box", ["↑"]],
  ],
};

export function KeysDialog({ onClose }: { readonly onClose: () => void }): ReactNode {
  const [isOn, setOn] = useState(readSetting("single-keys") !== "off");
  const change = (next: boolean): void => {
    writeSetting("single-keys", next ? null : "off");
    setOn(next);
  };
  return (
    <Dialog open onOpenChange={open => !open && onClose()} title="Keys" isWide>
      <Check label="Single letters do something outside of fields" checked={isOn} onChange={change} />
      <div className={style.places}>
        {PLACES.map(({ where, title }) => (
          <section key={where} aria-label={title}>
            <h3 className={style.title}>{title}</h3>
            <dl className={style.list}>
              {(KEYMAP as readonly Binding[])
                .filter(binding => binding.where === where)
                .map(binding => (
                  <Line
                    key={binding.action}
                    label={binding.label}
                    keys={binding.keys.map(keys => shown(keys, isMac))}
                  />
                ))}
              {(FIXED[where] ?? []).map(([label, keys]) => (
                <Line key={label} label={label} keys={keys} />
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}

function Line({ label, keys }: { readonly label: string; readonly keys: readonly string[] }): ReactNode {
  return (
    <div className={style.line}>
      <dt>{label}</dt>
      <dd className={style.keys}>
        {keys.map(each => (
          <Keys key={each} keys={each} />
        ))}
      </dd>
    </div>
  );
}
