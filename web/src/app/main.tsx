/** Starts the page: one connection, the two views that every page needs, and the router. */

import { createRoot } from "react-dom/client";
import { isSomebodyElse } from "../browser/person.ts";
import { listenToPresses } from "../browser/press.ts";
import { abandonReads, api, onDenied, read } from "../state/api.ts";
import { startClock } from "../state/clock.ts";
import type { Caller, Fleet } from "../state/context.tsx";
import { FleetView, followFleet, InboxView } from "../state/fleet.ts";
import { Hub } from "../state/hub.ts";
import { loadAll } from "../state/parts.ts";
import { isPresent } from "../state/presence.ts";
import { queries } from "../state/query-client.ts";
import { Cell, frames } from "../state/store.ts";
import type { Info } from "../wire/types.ts";
import { App } from "./app.tsx";
import { listenToKeys } from "./keys.ts";
import { sendNotifications } from "./notifications.ts";

const scheme = location.protocol === "https:" ? "wss:" : "ws:";

/** Whether the server accepts this browser; a server that does not respond has not refused it. */
async function admitted(): Promise<boolean> {
  try {
    const answer = await fetch("/api/caller");
    return answer.status !== 401;
  } catch {
    return true;
  }
}

const hub = new Hub(`${scheme}//${location.host}/api/ws`, admitted);
const fleet: Fleet = {
  hub,
  fleet: new FleetView(),
  inbox: new InboxView(),
  caller: new Cell<Caller | null>(null),
  info: new Cell<Info | null>(null),
};

const ASK_AGAIN_MS = 1_000;

/** Ask for the user and the server: after a lost connection, both may have changed. */
async function ask(): Promise<void> {
  try {
    const [caller, info] = await Promise.all([read(api.GET("/api/caller")), read(api.GET("/api/info"))]);
    if (await isSomebodyElse(caller.body.actor)) return location.reload();
    fleet.caller.set(caller.body);
    fleet.info.set(info.body);
  } catch {
    // Without an answer the page allows no change.
    setTimeout(() => isPresent.get() && void ask(), ASK_AGAIN_MS);
  }
}

let wasLost = false;

/** The server is reachable, or reachable again: earlier data may be old, and failed reads can succeed now. */
function arrived(): void {
  void ask();
  if (wasLost) void queries.invalidateQueries();
  wasLost = false;
}

function left(): void {
  wasLost = true;
  abandonReads();
}

onDenied(() => hub.denied());
hub.connection.subscribe(() => {
  const { phase } = hub.connection.get();
  const was = isPresent.get();
  isPresent.set(phase === "behind" || phase === "live");
  if (isPresent.get() && !was) arrived();
  if (phase === "away") left();
});
void loadAll();
startClock();
listenToKeys();
listenToPresses(frames.hold, frames.release);
sendNotifications(fleet.inbox);
followFleet(hub, fleet.fleet, fleet.inbox);
hub.start();

const root = document.getElementById("root");
if (root) createRoot(root).render(<App fleet={fleet} />);
