/** Sends a desktop notification for each new entry of the inbox while the page is open. */
import { notify, whenItIsOurTurn } from "../browser/notify.ts";
import type { InboxView } from "../state/fleet.ts";
import { router } from "./router.tsx";

export function sendNotifications(inbox: InboxView): void {
  whenItIsOurTurn(() => {
    let known: ReadonlySet<string> | null = inbox.isLoaded.get() ? ids(inbox) : null;
    inbox.items.subscribe(() => {
      for (const item of known === null ? [] : inbox.items.get()) {
        if (!known?.has(item.id))
          notify(
            item,
            () =>
              void router.navigate(
                item.sessionId === null ? { to: "/inbox" } : { to: "/s/$id", params: { id: item.sessionId } },
              ),
          );
      }
      known = ids(inbox);
    });
  });
}

function ids(inbox: InboxView): ReadonlySet<string> {
  return new Set(inbox.items.get().map(item => item.id));
}
