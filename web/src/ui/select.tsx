/** A choice of one from a few options. */
import { Select as Base } from "@base-ui/react/select";
import { Check, ChevronDown } from "lucide-react";
import type { ReactNode } from "react";
import button from "./button.module.css";
import { cx } from "./cx.ts";
import menu from "./menu.module.css";

export type Choice<Value extends string> = { readonly value: Value; readonly label: string };

type SelectProps<Value extends string> = {
  /** The name of the control, for screen readers; shown before the value if `showLabel` is set. */
  readonly label: string;
  readonly showLabel?: boolean;
  readonly value: Value;
  readonly choices: readonly Choice<Value>[];
  readonly onChange: (value: Value) => void;
  readonly size?: "normal" | "small";
  readonly isDisabled?: boolean;
};

export function Select<Value extends string>(props: SelectProps<Value>): ReactNode {
  const { label, showLabel = false, value, choices, onChange, size = "normal", isDisabled = false } = props;
  const chosen = choices.find(each => each.value === value)?.label ?? value;
  return (
    <Base.Root value={value} onValueChange={next => next !== null && onChange(next as Value)} disabled={isDisabled}>
      <Base.Trigger aria-label={`${label}: ${chosen}`} className={cx(button.button, size === "small" && button.small)}>
        {showLabel && `${label}: `}
        {chosen}
        <ChevronDown size={14} aria-hidden />
      </Base.Trigger>
      <Base.Portal>
        <Base.Positioner sideOffset={4} alignItemWithTrigger={false} align="start">
          <Base.Popup className={menu.popup}>
            {choices.map(choice => (
              <Base.Item key={choice.value} value={choice.value} className={menu.item}>
                <Base.ItemText>{choice.label}</Base.ItemText>
                <Base.ItemIndicator>
                  <Check size={14} aria-hidden />
                </Base.ItemIndicator>
              </Base.Item>
            ))}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}
