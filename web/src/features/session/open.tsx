/** The open session: its item, its transcript, the moment that is shown, and whether it may be changed from here. */
import { createContext, type ReactNode, useContext } from "react";
import type { OpenTranscript } from "../../state/transcripts.ts";
import type { SessionItem } from "../../wire/types.ts";

export type Open = {
  readonly item: SessionItem;
  readonly transcript: OpenTranscript;
  /** A log position: what is shown is as it was then. Null for now. */
  readonly at: number | null;
  /** Whether this person may change something, the server is connected, and the present is shown. */
  readonly mayWrite: boolean;
  /** Whether this person may prepare a change: as `mayWrite`, also while the server is away. */
  readonly mayDraft: boolean;
};

const OpenContext = createContext<Open | null>(null);

export function OpenProvider(props: { readonly open: Open; readonly children: ReactNode }): ReactNode {
  return <OpenContext value={props.open}>{props.children}</OpenContext>;
}

export function useOpen(): Open {
  const open = useContext(OpenContext);
  if (open === null) throw new Error("there is no session above");
  return open;
}
