/** Fields of a form: a label above, a note or an error below. Screen readers read both with the field. */
import { type ComponentProps, type ReactNode, useId } from "react";
import { cx } from "./cx.ts";
import style from "./field.module.css";

type Around = { readonly label: string; readonly note?: ReactNode; readonly error?: string | null | undefined };

export function useAround({ note, error }: Omit<Around, "label">) {
  const id = useId();
  const described = [note ? `${id}-note` : null, error ? `${id}-error` : null].filter(Boolean).join(" ");
  return { id, described: described || undefined };
}

export function Field(props: Around & { readonly id: string; readonly children: ReactNode }): ReactNode {
  return (
    <div className={style.field}>
      <label htmlFor={props.id} className={style.label}>
        {props.label}
      </label>
      {props.children}
      {props.note && (
        <div id={`${props.id}-note`} className={style.note}>
          {props.note}
        </div>
      )}
      {props.error && (
        <div id={`${props.id}-error`} className={style.error} role="alert">
          {props.error}
        </div>
      )}
    </div>
  );
}

export function TextField({ label, note, error, className, ...rest }: Around & ComponentProps<"input">): ReactNode {
  const { id, described } = useAround({ note, error });
  return (
    <Field id={id} label={label} note={note} error={error}>
      <input
        {...rest}
        id={id}
        className={cx(style.input, className)}
        aria-describedby={described}
        aria-invalid={error ? true : undefined}
      />
    </Field>
  );
}

export function TextArea({ label, note, error, className, ...rest }: Around & ComponentProps<"textarea">): ReactNode {
  const { id, described } = useAround({ note, error });
  return (
    <Field id={id} label={label} note={note} error={error}>
      <textarea
        {...rest}
        id={id}
        className={cx(style.input, style.area, className)}
        aria-describedby={described}
        aria-invalid={error ? true : undefined}
      />
    </Field>
  );
}

type CheckProps = {
  readonly label: ReactNode;
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
  readonly disabled?: boolean;
};

export function Check({ label, checked, onChange, disabled = false }: CheckProps): ReactNode {
  return (
    <label className={style.check}>
      <input type="checkbox" checked={checked} disabled={disabled} onChange={event => onChange(event.target.checked)} />
      {label}
    </label>
  );
}
