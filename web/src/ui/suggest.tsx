/** A text field that suggests values; any other text may be typed as well. */
import { Autocomplete } from "@base-ui/react/autocomplete";
import type { ReactNode } from "react";
import { plain } from "../core/text.ts";
import input from "./field.module.css";
import { Field, useAround } from "./field.tsx";
import style from "./suggest.module.css";

export type Suggestion = { readonly value: string; readonly note?: string };

type SuggestFieldProps = {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly suggestions: readonly Suggestion[];
  readonly note?: ReactNode;
  readonly error?: string | null | undefined;
  readonly placeholder?: string;
  /** The suggestions come from the server for what is typed: they are not filtered again. */
  readonly isFiltered?: boolean;
};

export function SuggestField(props: SuggestFieldProps): ReactNode {
  const { label, value, onChange, suggestions, note, error, placeholder, isFiltered = false } = props;
  const { id, described } = useAround({ note, error });
  return (
    <Autocomplete.Root
      items={suggestions}
      value={value}
      onValueChange={onChange}
      itemToStringValue={(item: Suggestion) => item.value}
      mode={isFiltered ? "none" : "list"}
      openOnInputClick
    >
      <Field id={id} label={label} note={note} error={error}>
        <Autocomplete.Input
          id={id}
          className={input.input}
          placeholder={placeholder}
          aria-describedby={described}
          aria-invalid={error ? true : undefined}
        />
      </Field>
      <Autocomplete.Portal>
        <Autocomplete.Positioner sideOffset={4}>
          <Autocomplete.Popup className={style.popup}>
            <Autocomplete.List className={style.list}>
              {(item: Suggestion) => (
                <Autocomplete.Item key={item.value} value={item} className={style.item}>
                  <span>{plain(item.value)}</span>
                  {item.note && <span className={style.note}>{plain(item.note)}</span>}
                </Autocomplete.Item>
              )}
            </Autocomplete.List>
          </Autocomplete.Popup>
        </Autocomplete.Positioner>
      </Autocomplete.Portal>
    </Autocomplete.Root>
  );
}
