/** The page's one connection: it renews subscriptions after a loss, and sends commands. */
import { Socket } from "../browser/socket.ts";
import type { Connection } from "../core/connection.ts";
import type { ClientFrame, ServerFrame } from "../wire/types.ts";
import { Commands } from "./commands.ts";
import { Cell } from "./store.ts";

/** A subscriber. `request` makes the frame that subscribes, with the current cursor. */
export type Subscriber = {
  readonly request: (id: string) => Extract<ClientFrame, { type: "subscribe" }>;
  readonly take: (frame: ServerFrame) => void;
};

type Subscription = { readonly subscriber: Subscriber; id: string; isLive: boolean };

export class Hub {
  readonly connection: Cell<Connection>;
  readonly commands: Commands;
  readonly #socket: Socket;
  readonly #subscriptions = new Map<string, Subscription>();
  #count = 0;

  constructor(address: string, admitted: () => Promise<boolean>) {
    this.#socket = new Socket(address, {
      opened: () => this.#opened(),
      frame: frame => this.#take(frame),
      lost: () => this.#lost(),
      changed: connection => this.connection.set(connection),
      admitted,
    });
    this.connection = new Cell(this.#socket.connection, null);
    this.commands = new Commands(frame => this.#socket.send(frame));
  }

  start(): void {
    this.#socket.start();
  }

  stop(): void {
    this.#socket.stop();
  }

  /** The server refused this browser: show the login. */
  denied(): void {
    this.#socket.denied();
  }

  /** Follow until the returned function is called. */
  follow(subscriber: Subscriber): () => void {
    const subscription: Subscription = { subscriber, id: "", isLive: false };
    this.#subscribe(subscription);
    return () => {
      if (this.#subscriptions.delete(subscription.id)) this.#socket.send({ type: "unsubscribe", id: subscription.id });
      this.#report();
    };
  }

  /** Subscribe again from the beginning for one subscriber: it cannot continue from its current data. */
  restart(subscriber: Subscriber): void {
    for (const subscription of [...this.#subscriptions.values()]) {
      if (subscription.subscriber !== subscriber) continue;
      this.#subscriptions.delete(subscription.id);
      this.#socket.send({ type: "unsubscribe", id: subscription.id });
      this.#subscribe(subscription);
    }
  }

  #subscribe(subscription: Subscription): void {
    // A new id each time: late frames of the old subscription are then ignored.
    this.#count += 1;
    subscription.id = `s${this.#count}`;
    subscription.isLive = false;
    this.#subscriptions.set(subscription.id, subscription);
    this.#socket.send(subscription.subscriber.request(subscription.id));
    this.#report();
  }

  #opened(): void {
    const all = [...this.#subscriptions.values()];
    this.#subscriptions.clear();
    for (const subscription of all) this.#subscribe(subscription);
    this.commands.resend();
    this.#report();
  }

  #lost(): void {
    for (const subscription of this.#subscriptions.values()) subscription.isLive = false;
  }

  #take(frame: ServerFrame): void {
    if (this.commands.take(frame) || frame.id === undefined) return;
    const subscription = this.#subscriptions.get(frame.id);
    if (subscription === undefined) return;
    subscription.subscriber.take(frame);
    if (frame.type === "live") {
      subscription.isLive = true;
      this.#report();
    } else if (frame.type === "lagging") {
      this.#subscriptions.delete(frame.id);
      this.#subscribe(subscription);
    }
  }

  #report(): void {
    const phase = this.#socket.connection.phase;
    if (phase !== "behind" && phase !== "live") return;
    this.#socket.caughtUp([...this.#subscriptions.values()].every(each => each.isLive));
  }
}
