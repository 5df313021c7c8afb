/** Every session of the server's fleet view. The server computes the items; here, a new item replaces the old one. */
import type { ClientFrame, InboxItem, Problem, ServerFrame, SessionItem } from "../wire/types.ts";
import type { Hub, Subscriber } from "./hub.ts";
import { Cell, Keyed } from "./store.ts";

export class FleetView implements Subscriber {
  readonly sessions = new Keyed<SessionItem>();
  /** Whether the first items have arrived: "no sessions" and "not known yet" look different. */
  readonly isLoaded = new Cell(false);
  /** Why the server refuses the view; null if it does not. */
  readonly trouble = new Cell<Problem | null>(null);
  #position: number | null = null;
  /** The ids that arrived since a reset, until its last frame: then all other sessions are removed. */
  #fresh: Set<string> | null = null;

  readonly request = (id: string): Extract<ClientFrame, { type: "subscribe" }> =>
    this.#position === null
      ? { type: "subscribe", id, view: "fleet" }
      : { type: "subscribe", id, view: "fleet", after: this.#position };

  readonly take = (frame: ServerFrame): void => {
    switch (frame.type) {
      case "items":
        this.trouble.set(null);
        if (frame.reset) this.#fresh = new Set();
        this.sessions.setAll(frame.sessions.map(session => [session.id, session] as const));
        for (const session of frame.sessions) this.#fresh?.add(session.id);
        if (!frame.more) this.#reached(frame.position);
        break;
      case "item":
        this.sessions.set(frame.session.id, frame.session);
        this.#position = frame.position;
        break;
      case "gone":
        this.sessions.delete(frame.sessionId);
        this.#position = frame.position;
        break;
      case "live":
        this.#reached(frame.position);
        break;
      case "error":
        this.trouble.set(frame.problem);
        break;
      default:
        break;
    }
  };

  #reached(position: number): void {
    this.#position = position;
    if (this.#fresh) this.sessions.keepOnly(this.#fresh);
    this.#fresh = null;
    this.isLoaded.set(true);
  }
}

/** Everything that waits for a person, as the server has it. */
export class InboxView implements Subscriber {
  readonly items = new Cell<readonly InboxItem[]>([]);
  readonly isLoaded = new Cell(false);

  readonly request = (id: string): Extract<ClientFrame, { type: "subscribe" }> => ({
    type: "subscribe",
    id,
    view: "inbox",
  });

  readonly take = (frame: ServerFrame): void => {
    if (frame.type !== "inbox") return;
    this.items.set(frame.items);
    this.isLoaded.set(true);
  };
}

/** Follow both views over a hub. Return the function that ends this. */
export function followFleet(hub: Hub, fleet: FleetView, inbox: InboxView): () => void {
  const ends = [hub.follow(fleet), hub.follow(inbox)];
  return () => {
    for (const end of ends) end();
  };
}
