/** The functions of the list that its rows call. The object never changes, so that it makes no row render. */
import { createContext, useContext } from "react";
import type { Selection } from "./selection.ts";

export type Acts = {
  readonly selection: Selection;
  /** Make a row the current one, which keys act on. */
  readonly activate: (key: string) => void;
  readonly toggleFold: (cluster: string) => void;
  readonly extendTo: (id: string) => void;
  readonly openMenu: (id: string, at: Element) => void;
};

export const ActsContext = createContext<Acts | null>(null);

export function useActs(): Acts {
  const acts = useContext(ActsContext);
  if (acts === null) throw new Error("there is no list above");
  return acts;
}
