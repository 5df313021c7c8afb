/** The filter field: words and terms, with completions below, and errors at once. */
import { Search, X } from "lucide-react";
import { type ReactNode, type Ref, useId, useMemo } from "react";
import { completionsOf } from "../../core/completions.ts";
import { parseFilter } from "../../core/filter.ts";
import { oneLine } from "../../core/text.ts";
import { useFleet } from "../../state/context.tsx";
import { CompletingInput, type Completion } from "../../ui/complete.tsx";
import { Keys } from "../../ui/keys.tsx";
import style from "./filter-field.module.css";

type FilterFieldProps = {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly field: Ref<HTMLInputElement>;
  /** Keys that focus it, shown while it is empty. */
  readonly keys?: string | undefined;
  readonly placeholder: string;
  /** Enter was pressed: the focus moves to the list. */
  readonly onEnter?: () => void;
};

export function FilterField(props: FilterFieldProps): ReactNode {
  const { value, onChange, field, keys, placeholder, onEnter } = props;
  const { sessions } = useFleet().fleet;
  const id = useId();
  const { trouble } = useMemo(() => parseFilter(value), [value]);
  const completions = (query: string): readonly Completion[] =>
    completionsOf(query, sessions.values()).map(each => ({
      value: each.query,
      label: oneLine(each.label),
      note: each.note,
      isBeginning: each.query.endsWith(":"),
    }));
  return (
    <div className={style.field}>
      <div className={style.box}>
        <Search size={14} aria-hidden className={style.icon} />
        <CompletingInput
          ref={field}
          value={value}
          onChange={onChange}
          completions={completions}
          className={style.input}
          aria-label="Filter sessions"
          aria-invalid={trouble !== null || undefined}
          aria-describedby={trouble === null ? undefined : id}
          placeholder={placeholder}
          enterKeyHint="search"
          {...(onEnter ? { onEnter } : {})}
        />
        {value === "" ? (
          keys && (
            <span className={style.keys}>
              <Keys keys={keys} />
            </span>
          )
        ) : (
          <button type="button" className={style.clear} aria-label="Clear the filter" onClick={() => onChange("")}>
            <X size={14} aria-hidden />
          </button>
        )}
      </div>
      {trouble && (
        <div id={id} role="status" className={style.trouble}>
          {trouble}
        </div>
      )}
    </div>
  );
}
