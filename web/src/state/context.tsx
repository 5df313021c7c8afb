/** The values that every part of the page uses: the connection, the views, the user, the server. */
import { createContext, type ReactNode, useCallback, useContext } from "react";
import type { CallerItem } from "../wire/api.ts";
import type { Info, Method, SessionItem } from "../wire/types.ts";
import type { Reply } from "./commands.ts";
import type { FleetView, InboxView } from "./fleet.ts";
import type { Hub } from "./hub.ts";
import { type Cell, useCell, useKey } from "./store.ts";

export type Caller = CallerItem;

export type Fleet = {
  readonly hub: Hub;
  readonly fleet: FleetView;
  readonly inbox: InboxView;
  readonly caller: Cell<Caller | null>;
  readonly info: Cell<Info | null>;
};

const FleetContext = createContext<Fleet | null>(null);

export function FleetProvider(props: { readonly fleet: Fleet; readonly children: ReactNode }): ReactNode {
  return <FleetContext value={props.fleet}>{props.children}</FleetContext>;
}

export function useFleet(): Fleet {
  const fleet = useContext(FleetContext);
  if (fleet === null) throw new Error("there is no FleetProvider above");
  return fleet;
}

/** A session's item; undefined if the fleet view does not have it. */
export function useSession(id: string): SessionItem | undefined {
  return useKey(useFleet().fleet.sessions, id);
}

/** Send a command; see `Commands.run`. */
export function useCommand(): <Body = unknown>(method: Method, path: string, body?: unknown) => Promise<Reply<Body>> {
  const { hub } = useFleet();
  return useCallback((method, path, body) => hub.commands.run(method, path, body), [hub]);
}

/** Whether this person may change something; false until it is known. */
export function useMayChange(): boolean {
  return useCell(useFleet().caller)?.role === "operator";
}

/** Whether commands can be sent now. */
export function useIsConnected(): boolean {
  const { phase } = useCell(useFleet().hub.connection);
  return phase === "live" || phase === "behind";
}
