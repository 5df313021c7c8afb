/** A day. While it is being typed, no change is reported: browsers report the year 0002 on the way to 2026. */
import { type ReactNode, useEffect, useState } from "react";
import { TextField } from "./field.tsx";

const FIRST = "1970-01-01";

type DateFieldProps = {
  readonly label: string;
  /** As `2026-05-01`; empty for none. */
  readonly value: string;
  readonly onChange: (value: string) => void;
};

export function DateField({ label, value, onChange }: DateFieldProps): ReactNode {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  return (
    <TextField
      label={label}
      type="date"
      min={FIRST}
      max="9999-12-31"
      value={typed}
      onChange={event => {
        const next = event.target.value;
        setTyped(next);
        if (next === "" || next >= FIRST) onChange(next);
      }}
    />
  );
}
