/** A bare input that offers completions of the typed text (the combobox pattern of WAI-ARIA), for the first load: light. */
import { type ComponentProps, type KeyboardEvent, type ReactNode, useId, useState } from "react";
import style from "./complete.module.css";
import { cx } from "./cx.ts";
import menu from "./menu.module.css";

export type Completion = {
  /** The text of the field after this completion is chosen. */
  readonly value: string;
  readonly label: string;
  readonly note?: string;
  /** Whether more is to follow: the list stays open. */
  readonly isBeginning?: boolean;
};

type CompletingInputProps = Omit<ComponentProps<"input">, "value" | "onChange"> & {
  readonly value: string;
  readonly onChange: (value: string) => void;
  /** Asked only while the list is open. */
  readonly completions: (value: string) => readonly Completion[];
  /** Enter without a chosen completion. */
  readonly onEnter?: () => void;
};

export function CompletingInput(props: CompletingInputProps): ReactNode {
  const { value, onChange, completions, onEnter, className, ...rest } = props;
  const [isOpen, setOpen] = useState(false);
  const [chosen, choose] = useState(-1);
  const id = useId();
  const offered = isOpen ? completions(value) : [];
  const isShown = offered.length > 0;

  const take = (completion: Completion): void => {
    onChange(completion.value);
    choose(-1);
    setOpen(completion.isBeginning ?? false);
  };
  const move = (by: number): void => {
    setOpen(true);
    const count = (isOpen ? offered : completions(value)).length;
    // One position more than there are completions: there the text stays as it was typed.
    choose(before => ((before + 1 + by + count + 1) % (count + 1)) - 1);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const completion = offered[chosen];
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Enter" && completion) take(completion);
    else if (event.key === "Enter") {
      setOpen(false);
      onEnter?.();
    } else if (event.key === "Tab" && completion && !event.shiftKey) take(completion);
    else if (event.key === "Escape" && isShown) setOpen(false);
    else if (event.key === "Escape" && value !== "") onChange("");
    else return;
    event.preventDefault();
  };
  return (
    <div className={style.around}>
      <input
        {...rest}
        role="combobox"
        aria-autocomplete="list"
        aria-expanded={isShown}
        aria-controls={isShown ? id : undefined}
        aria-activedescendant={isShown && chosen >= 0 ? `${id}-${chosen}` : undefined}
        autoComplete="off"
        autoCorrect="off"
        autoCapitalize="off"
        spellCheck={false}
        className={className}
        value={value}
        onChange={event => {
          onChange(event.target.value);
          choose(-1);
          setOpen(true);
        }}
        onClick={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={onKeyDown}
      />
      {isShown && (
        <div id={id} role="listbox" aria-label="Completions" className={cx(menu.popup, style.list)}>
          {offered.map((completion, index) => (
            // biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus and names the chosen one
            // biome-ignore lint/a11y/useKeyWithClickEvents: the field hears the keys
            <div
              key={completion.value}
              id={`${id}-${index}`}
              role="option"
              aria-selected={index === chosen}
              data-highlighted={index === chosen ? "" : undefined}
              className={menu.item}
              onPointerDown={event => event.preventDefault()}
              onPointerMove={() => choose(index)}
              onClick={() => take(completion)}
            >
              <span>{completion.label}</span>
              <span className={style.note}>{completion.note}</span>
            </div>
          ))}
        </div>
      )}
    </div>
  );
}
