/** Carries out what the machine in `core/connection.ts` decides: one WebSocket, its pings, its reconnection. */
import { type Action, type Connection, type ConnectionEvent, initial, step } from "../core/connection.ts";
import type { ClientFrame, ServerFrame } from "../wire/types.ts";

const TICK_MS = 1_000;
const NORMAL = 1000;

export type SocketEvents = {
  /** A connection is open: subscribe now. */
  readonly opened: () => void;
  readonly frame: (frame: ServerFrame) => void;
  /** The connection is lost; the result of commands without a reply is not known. */
  readonly lost: () => void;
  readonly changed: (connection: Connection) => void;
  /** Ask over HTTP whether the server accepts this browser; a WebSocket does not say why it was refused. */
  readonly admitted: () => Promise<boolean>;
};

export class Socket {
  #state: Connection = initial(Date.now());
  #socket: WebSocket | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  #pings = 0;
  readonly #events: SocketEvents;
  readonly #address: string;

  constructor(address: string, events: SocketEvents) {
    this.#address = address;
    this.#events = events;
  }

  get connection(): Connection {
    return this.#state;
  }

  /** Connect, and stay connected until `stop`. */
  start(): void {
    this.#timer = setInterval(() => this.#handle({ type: "tick" }), TICK_MS);
    for (const name of ["online", "pageshow"]) window.addEventListener(name, this.#woke);
    document.addEventListener("visibilitychange", this.#seen);
    this.#open();
  }

  /** Close for good. */
  stop(): void {
    clearInterval(this.#timer);
    for (const name of ["online", "pageshow"]) window.removeEventListener(name, this.#woke);
    document.removeEventListener("visibilitychange", this.#seen);
    this.#drop();
  }

  /** Send a frame. Return false if there is no open connection. */
  send(frame: ClientFrame): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** All subscriptions have caught up, or one has to be fetched again. */
  caughtUp(isLive: boolean): void {
    this.#handle({ type: isLive ? "caught-up" : "fell-behind" });
  }

  /** The server refused this browser. */
  denied(): void {
    this.#handle({ type: "denied" });
  }

  readonly #woke = (): void => this.#handle({ type: "woke" });
  readonly #seen = (): void => {
    if (document.visibilityState === "visible") this.#handle({ type: "woke" });
  };

  #handle(event: ConnectionEvent): void {
    const before = this.#state;
    const [state, actions] = step(before, event, Date.now(), Math.random());
    this.#state = state;
    if (before.phase !== state.phase || before.sinceMs !== state.sinceMs) this.#events.changed(state);
    for (const action of actions) this.#carryOut(action);
  }

  #carryOut(action: Action): void {
    if (action === "open") this.#open();
    else if (action === "close") this.#drop();
    else this.#ping();
  }

  #ping(): void {
    this.#pings += 1;
    this.send({ type: "ping", id: `ping-${this.#pings}` });
  }

  #open(): void {
    this.#drop();
    const socket = new WebSocket(this.#address);
    let opened = false;
    this.#socket = socket;
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      opened = true;
      this.#handle({ type: "opened" });
      this.#events.opened();
    };
    socket.onmessage = message => {
      if (socket !== this.#socket) return;
      this.#handle({ type: "heard" });
      this.#events.frame(JSON.parse(message.data as string) as ServerFrame);
    };
    socket.onclose = closed => {
      if (socket !== this.#socket) return;
      this.#socket = null;
      this.#events.lost();
      this.#handle({ type: "closed", code: closed.code });
      if (!opened) void this.#askWhy();
    };
  }

  async #askWhy(): Promise<void> {
    if (!(await this.#events.admitted())) this.denied();
  }

  #drop(): void {
    const socket = this.#socket;
    if (socket === null) return;
    this.#socket = null;
    socket.close(NORMAL);
    this.#events.lost();
  }
}
