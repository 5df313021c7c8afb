/** Reads over REST: typed by the server's OpenAPI document, with problems as errors and the log position of each answer. */
import createClient from "openapi-fetch";
import type { paths } from "../wire/api.ts";
import type { Problem } from "../wire/types.ts";
import { Refused } from "./commands.ts";

export type Read<Body> = {
  readonly body: Body;
  readonly position: number | null;
  readonly total: number | null;
  /** Where the next page of the log begins; null if there is none. */
  readonly goOn: number | null;
};

const UNREACHABLE: Problem = {
  type: "about:blank",
  title: "The server does not respond",
  status: 0,
  code: "away",
  detail: "The request did not reach the server.",
};

/** Called when the server asks for a login. */
let denied: () => void = () => undefined;

export function onDenied(listener: () => void): void {
  denied = listener;
}

/** The timeout of a read: a connection may be open and dead. Verifying a long log takes the longest. */
const READ_WITHIN_MS = 120_000;

/** Cancels the pending reads when the connection breaks: their responses may never come. */
let road = new AbortController();

export function abandonReads(): void {
  road.abort();
  road = new AbortController();
}

function fetchInTime(request: Request | string): Promise<Response> {
  return fetch(request, { signal: AbortSignal.any([road.signal, AbortSignal.timeout(READ_WITHIN_MS)]) });
}

export const api = createClient<paths>({ baseUrl: "", fetch: fetchInTime });

/** A response of `api`. */
export type Answered<Body> = { data?: Body; error?: unknown; response: Response };

/** Return the body of a response of `api`. Rejects with `Refused`. */
export async function read<Body>(asked: Promise<Answered<Body>>): Promise<Read<Body>> {
  let answer: Answered<Body>;
  try {
    answer = await asked;
  } catch {
    throw new Refused(UNREACHABLE);
  }
  const { response } = answer;
  if (response.ok) {
    return {
      body: answer.data as Body,
      position: numberOf(response, "Fleet-Position"),
      total: numberOf(response, "X-Total-Count"),
      goOn: numberOf(response, "Fleet-Continue"),
    };
  }
  if (response.status === 401) denied();
  throw new Refused(problemOf(answer.error, response));
}

/** Fetch a path whose response the document does not describe: bytes of a blob or an attachment. Rejects with `Refused`. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    const response = await fetchInTime(path);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    if (response.status === 401) denied();
    throw new Refused(problemOf(await response.json().catch(() => null), response));
  } catch (error) {
    throw error instanceof Refused ? error : new Refused(UNREACHABLE);
  }
}

function numberOf(response: Response, header: string): number | null {
  const text = response.headers.get(header);
  return text === null ? null : Number(text);
}

function problemOf(error: unknown, response: Response): Problem {
  if (typeof error === "object" && error !== null && "code" in error) return error as Problem;
  return {
    type: "about:blank",
    title: `HTTP ${response.status}`,
    status: response.status,
    code: "unknown",
    detail: response.statusText,
  };
}
