/**
 * Changes: commands over the WebSocket, which name routes of the REST API.
 *
 * Each has an idempotency key. A command without a reply when the connection broke is sent again with the same key when it is
 * back, so that it is carried out once, and its sender gets the result. While the server is away nothing is sent: a
 * command that is carried out hours later is worse than a refusal.
 */
import type { ClientFrame, Method, Problem, ServerFrame } from "../wire/types.ts";

/** The server refused the request; it holds the problem document. */
export class Refused extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail || problem.title);
    this.name = "Refused";
    this.problem = problem;
  }
}

export type Reply<Body> = { readonly status: number; readonly position: number | null; readonly body: Body };

type Waiting = {
  readonly frame: Extract<ClientFrame, { type: "command" }>;
  readonly resolve: (reply: Reply<unknown>) => void;
  readonly reject: (error: Error) => void;
};

const AWAY: Problem = {
  type: "about:blank",
  title: "The server is away",
  status: 0,
  code: "away",
  detail: "The page has no connection to the server. Nothing was sent.",
  hint: "It reconnects by itself; then try again.",
};

export class Commands {
  readonly #waiting = new Map<string, Waiting>();
  readonly #send: (frame: ClientFrame) => boolean;
  #count = 0;

  constructor(send: (frame: ClientFrame) => boolean) {
    this.#send = send;
  }

  /** Send the command and wait for its result. Rejects with `Refused`. */
  run<Body = unknown>(method: Method, path: string, body?: unknown): Promise<Reply<Body>> {
    this.#count += 1;
    const id = `c${this.#count}`;
    const frame = {
      type: "command",
      id,
      method,
      path,
      idempotencyKey: `page-${randomKey()}`,
      ...(body === undefined ? {} : { body }),
    } as const;
    return new Promise((resolve, reject) => {
      if (!this.#send(frame)) {
        reject(new Refused(AWAY));
        return;
      }
      this.#waiting.set(id, { frame, resolve: resolve as (reply: Reply<unknown>) => void, reject });
    });
  }

  /** Send the commands without a reply again, on a new connection. */
  resend(): void {
    for (const { frame } of this.#waiting.values()) this.#send(frame);
  }

  /** Handle a reply. Return false if it belongs to no command. */
  take(frame: ServerFrame): boolean {
    if (frame.type !== "reply" && frame.type !== "error") return false;
    const waiting = frame.id === undefined ? undefined : this.#waiting.get(frame.id);
    if (frame.id === undefined || waiting === undefined) return false;
    this.#waiting.delete(frame.id);
    if (frame.type === "reply") {
      waiting.resolve({ status: frame.status, position: frame.position ?? null, body: frame.body });
    } else {
      waiting.reject(new Refused(frame.problem));
    }
    return true;
  }
}

/** `crypto.randomUUID` is missing on plain HTTP from another machine; `getRandomValues` is not. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join("");
}
