/** Changes the budget of a session. */
import { type ReactNode, useState } from "react";
import { compact, duration, money } from "../../../core/text.ts";
import { Button } from "../../../ui/button.tsx";
import { Dialog } from "../../../ui/dialog.tsx";
import { TextField } from "../../../ui/field.tsx";
import { useAct } from "../act.ts";
import { useOpen } from "../open.tsx";
import style from "./dialogs.module.css";

const FIELDS = [
  { name: "usd", label: "Dollars" },
  { name: "tokens", label: "Tokens" },
  { name: "minutes", label: "Minutes of work" },
] as const;

type Name = (typeof FIELDS)[number]["name"];

export function BudgetDialog({ onClose }: { readonly onClose: () => void }): ReactNode {
  const { item } = useOpen();
  const { budget, tokens } = item;
  const [typed, setTyped] = useState<Readonly<Record<Name, string>>>({
    usd: shown(budget?.usd),
    tokens: shown(budget?.tokens),
    minutes: shown(budget?.minutes),
  });
  const { isBusy, act } = useAct();
  const used: Readonly<Record<Name, string>> = {
    usd: money(item.costUsd),
    tokens: compact(tokens.input + tokens.output + tokens.reasoning + tokens.cacheRead + tokens.cacheWrite),
    minutes: duration(item.runningMs),
  };
  const wrong = FIELDS.filter(({ name }) => typed[name].trim() !== "" && !isLimit(name, typed[name]));

  async function save(): Promise<void> {
    const given = FIELDS.filter(({ name }) => typed[name].trim() !== "").map(
      ({ name }) => [name, Number(typed[name])] as const,
    );
    const body = { budget: given.length === 0 ? null : Object.fromEntries(given) };
    if (await act(null, "PATCH", `/api/sessions/${item.id}`, body)) onClose();
  }

  return (
    <Dialog
      open
      onOpenChange={open => !open && onClose()}
      title="Budget"
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" isBusy={isBusy} disabled={wrong.length > 0} onClick={() => void save()}>
            Save
          </Button>
        </>
      }
    >
      <div className={style.form}>
        <p>When one of these is used up, no further turn begins until a person says so. An empty field is no limit.</p>
        <div className={style.row}>
          {FIELDS.map(({ name, label }) => (
            <TextField
              key={name}
              label={label}
              inputMode="decimal"
              note={`used: ${used[name]}`}
              error={wrong.some(each => each.name === name) ? "A number, 0 or more" : null}
              value={typed[name]}
              onChange={event => setTyped({ ...typed, [name]: event.target.value })}
            />
          ))}
        </div>
      </div>
    </Dialog>
  );
}

function shown(value: number | null | undefined): string {
  return value === null || value === undefined ? "" : String(value);
}

function isLimit(name: Name, text: string): boolean {
  const value = Number(text);
  return Number.isFinite(value) && value >= 0 && (name !== "tokens" || Number.isInteger(value));
}
