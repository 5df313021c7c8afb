/** The histories that the server's tests record: what a page hears of a session, and what REST says at the end. */
import { readdirSync, readFileSync } from "node:fs";
import type { ClientFrame, ServerFrame } from "../src/wire/types.ts";

const DIRECTORY = new URL("../../tests/histories/", import.meta.url);

type Line =
  | { readonly at: number; readonly about: string; readonly session: string }
  | { readonly at: number; readonly sent: ClientFrame }
  | { readonly at: number; readonly frame: ServerFrame }
  | { readonly at: number; readonly lost: true }
  | { readonly at: number; readonly rest: string; readonly status: number; readonly body: unknown };

export class History {
  readonly name: string;
  readonly sessionId: string;
  readonly #lines: readonly Line[];

  constructor(name: string) {
    this.name = name;
    const text = readFileSync(new URL(`${name}.jsonl`, DIRECTORY), "utf8");
    this.#lines = text
      .trimEnd()
      .split("\n")
      .map(line => JSON.parse(line) as Line);
    const about = this.#lines.find(line => "about" in line);
    this.sessionId = about !== undefined && "about" in about ? about.session : "";
  }

  /** The frames of one subscription, in the order in which they came. */
  frames(id: string): readonly ServerFrame[] {
    return this.#lines.flatMap(line => ("frame" in line && line.frame.id === id ? [line.frame] : []));
  }

  /** What REST answers to a path of the session at the end, null where it refuses. */
  ofSession(path: string): unknown {
    return this.rest(`/api/sessions/${this.sessionId}${path}`);
  }

  /** What REST answers to a path at the end, null where it refuses. */
  rest(path: string): unknown {
    const found = this.#lines.find(line => "rest" in line && line.rest === path);
    if (found === undefined || !("rest" in found)) throw new Error(`${this.name} has no ${path}`);
    return found.status < 400 ? found.body : null;
  }
}

export const HISTORIES: readonly History[] = readdirSync(DIRECTORY)
  .filter(name => name.endsWith(".jsonl"))
  .sort()
  .map(name => new History(name.slice(0, -".jsonl".length)));
