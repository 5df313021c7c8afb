/** A small choice with the device's own list: light, and right on a phone. `select.tsx` is for forms. */
import { ChevronDown } from "lucide-react";
import type { ReactNode } from "react";
import style from "./pick.module.css";
import type { Choice } from "./select.tsx";

type PickProps<Value extends string> = {
  readonly label: string;
  readonly value: Value;
  readonly choices: readonly Choice<Value>[];
  readonly onChange: (value: Value) => void;
};

export function Pick<Value extends string>({ label, value, choices, onChange }: PickProps<Value>): ReactNode {
  return (
    <label className={style.pick}>
      <span className={style.label}>{label}</span>
      <select value={value} onChange={event => onChange(event.target.value as Value)} className={style.select}>
        {choices.map(choice => (
          <option key={choice.value} value={choice.value}>
            {choice.label}
          </option>
        ))}
      </select>
      <ChevronDown size={14} aria-hidden className={style.arrow} />
    </label>
  );
}
