/** The turns of the open session, as the server has them. */
import { createContext, type ReactNode, useContext } from "react";
import { indexTurns, type TurnIndex } from "../../core/rows.ts";
import type { TurnItem } from "../../wire/types.ts";

const TurnsContext = createContext<TurnIndex>(indexTurns([]));

export function TurnsProvider(props: { readonly turns: TurnIndex; readonly children: ReactNode }): ReactNode {
  return <TurnsContext value={props.turns}>{props.children}</TurnsContext>;
}

export function useTurns(): TurnIndex {
  return useContext(TurnsContext);
}

export function useTurn(number: number | null): TurnItem | undefined {
  const turns = useContext(TurnsContext);
  return number === null ? undefined : turns.byNumber.get(number);
}
