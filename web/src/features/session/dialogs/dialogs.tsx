/** The dialogs of a session: one at a time, asked for from the header, the transcript and the palette. */
import { createContext, type ReactNode, useContext, useMemo, useState } from "react";
import type { TurnItem } from "../../../wire/types.ts";
import { BudgetDialog } from "./budget.tsx";
import { EndDialog } from "./end.tsx";
import { ForkDialog } from "./fork.tsx";
import { TagsDialog } from "./tags.tsx";

export type Asked =
  | { readonly kind: "fork"; readonly turn: TurnItem | null }
  | { readonly kind: "stop" | "clean" | "erase" }
  | { readonly kind: "tags" }
  | { readonly kind: "budget" };

type Dialogs = { readonly ask: (asked: Asked) => void };

const DialogsContext = createContext<Dialogs>({ ask: () => undefined });

export function useDialogs(): Dialogs {
  return useContext(DialogsContext);
}

export function DialogsProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const [asked, ask] = useState<Asked | null>(null);
  const dialogs = useMemo(() => ({ ask }), []);
  const close = () => ask(null);
  return (
    <DialogsContext value={dialogs}>
      {children}
      {asked?.kind === "fork" && <ForkDialog turn={asked.turn} onClose={close} />}
      {(asked?.kind === "stop" || asked?.kind === "clean" || asked?.kind === "erase") && (
        <EndDialog kind={asked.kind} onClose={close} />
      )}
      {asked?.kind === "tags" && <TagsDialog onClose={close} />}
      {asked?.kind === "budget" && <BudgetDialog onClose={close} />}
    </DialogsContext>
  );
}
