/**
 * The filter of the list: words, and terms like `status:working repo:shop -tag:old`.
 *
 * Every term must hold; a comma inside a term means "or"; a minus before it means "not"; quotes keep blanks in one term. A
 * value matches from its beginning (`tag:ui` finds `ui-kit`), a repository, branch or model anywhere. A term that cannot be
 * read is left out and named in `trouble`: half a filter is better than an empty list.
 */
import type { SessionItem } from "../wire/types.ts";
import { lookOf, needsYou, STATUSES } from "./status.ts";
import { baseName } from "./text.ts";

export type FilterKey = "status" | "is" | "repo" | "tag" | "agent" | "model" | "branch" | "strategy" | "host";

/** What each key filters by, in the words of the completions. */
export const FILTER_KEYS: Readonly<Record<FilterKey, string>> = {
  status: "status of the session",
  is: "needs, child, queued, paused, changed, failed",
  repo: "repository or directory",
  tag: "tag",
  agent: "agent of OpenCode",
  model: "model",
  branch: "branch of the workspace",
  strategy: "existing, worktree, clone",
  host: "machine that it works on",
};

const KEYS = Object.keys(FILTER_KEYS) as readonly FilterKey[];

type Flag = "needs" | "child" | "queued" | "paused" | "changed" | "failed";

const FLAGS: Readonly<Record<Flag, (item: SessionItem) => boolean>> = {
  needs: needsYou,
  child: item => item.parentId !== null,
  queued: item => item.queued > 0,
  paused: item => item.queuePaused !== null,
  changed: item => (item.changes?.files ?? 0) > 0,
  failed: item => item.failure !== null,
};

/** The words of the statuses, as they are typed: `needs-you`. */
const STATUS_WORDS: readonly string[] = STATUSES.map(status => wordOf(status));

const CLOSED: Readonly<Partial<Record<FilterKey, readonly string[]>>> = {
  status: [...STATUS_WORDS, ...STATUSES],
  is: Object.keys(FLAGS),
  strategy: ["existing", "worktree", "clone"],
};

function wordOf(status: string): string {
  return lookOf(status).word.replace(" ", "-");
}

export type Term = {
  readonly key: FilterKey | "text";
  /** In lower case; one of them must match. */
  readonly values: readonly string[];
  readonly isNot: boolean;
};

export type Filter = { readonly terms: readonly Term[]; readonly trouble: string | null };

export type Token = { readonly text: string; readonly from: number; readonly to: number };

/** Cut a filter into its terms; blanks inside of quotes belong to the term. */
export function tokensOf(query: string): readonly Token[] {
  const tokens: Token[] = [];
  for (const found of query.matchAll(/(?:"[^"]*"?|[^\s"])+/g)) {
    tokens.push({ text: found[0], from: found.index, to: found.index + found[0].length });
  }
  return tokens;
}

/** Read a filter. */
export function parseFilter(query: string): Filter {
  const terms: Term[] = [];
  let trouble: string | null = null;
  for (const token of tokensOf(query)) {
    const read = readTerm(token.text);
    if (typeof read === "string") trouble ??= read;
    else if (read !== null) terms.push(read);
  }
  return { terms, trouble };
}

/** Return the term, null if it filters nothing yet, or what is wrong with it. */
function readTerm(token: string): Term | string | null {
  const isNot = token.startsWith("-") && token.length > 1;
  const body = isNot ? token.slice(1) : token;
  const named = /^([a-zA-Z]+):(.*)$/.exec(body);
  if (named === null) {
    const words = body.replaceAll('"', "").trim().toLowerCase();
    return words === "" ? null : { key: "text", values: [words], isNot };
  }
  const key = named[1]?.toLowerCase() as FilterKey;
  if (!KEYS.includes(key)) {
    return `There is no filter "${named[1]}:". There are ${KEYS.map(each => `${each}:`).join(", ")}. To search for the words, put them in quotes.`;
  }
  const values = valuesOf(named[2] ?? "");
  const unknown = values.find(value => CLOSED[key]?.some(known => known.startsWith(value)) === false);
  if (unknown !== undefined) return `No ${key} is called "${unknown}". There are ${fixedValues(key)?.join(", ")}.`;
  return values.length === 0 ? null : { key, values, isNot };
}

/** Return the values that a key can have, as they are offered; undefined where any text may follow. */
export function fixedValues(key: FilterKey): readonly string[] | undefined {
  return key === "status" ? STATUS_WORDS : CLOSED[key];
}

function valuesOf(text: string): readonly string[] {
  return [...text.matchAll(/(?:"[^"]*"?|[^,"])+/g)]
    .map(found => found[0].replaceAll('"', "").trim().toLowerCase())
    .filter(value => value !== "");
}

/** Return whether a session matches every term. */
export function matches(filter: Filter, item: SessionItem): boolean {
  return filter.terms.every(term => term.values.some(value => holds(term.key, value, item)) !== term.isNot);
}

function holds(key: Term["key"], value: string, item: SessionItem): boolean {
  switch (key) {
    case "text":
      return textOf(item).includes(value);
    case "status":
      return wordOf(item.status).startsWith(value) || item.status.startsWith(value);
    case "is":
      return Object.entries(FLAGS).some(([flag, test]) => flag.startsWith(value) && test(item));
    case "repo":
      return placeOf(item).toLowerCase().includes(value);
    case "tag":
      return item.tags.some(tag => tag.toLowerCase().startsWith(value));
    case "agent":
      return item.agent?.toLowerCase().startsWith(value) ?? false;
    case "model":
      return modelOf(item)?.toLowerCase().includes(value) ?? false;
    case "branch":
      return item.branch?.toLowerCase().includes(value) ?? false;
    case "strategy":
      return item.isolationStrategy.startsWith(value);
    case "host":
      return item.host?.toLowerCase().startsWith(value) ?? false;
  }
}

/** Return where a session works, as people name it: the repository's path, else the chosen directory. */
export function placeOf(item: SessionItem): string {
  return item.repository ?? item.sourceDirectory;
}

export function modelOf(item: SessionItem): string | null {
  return item.model && `${item.model.providerID}/${item.model.modelID}`;
}

/** The text in which words are searched. It has no text of the agent: rows would come and go while it writes. */
function textOf(item: SessionItem): string {
  const parts = [item.title, baseName(placeOf(item)), item.branch, item.agent, ...item.tags, item.id, item.opencodeId];
  return parts.join("\n").toLowerCase();
}
