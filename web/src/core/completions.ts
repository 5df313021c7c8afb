/** The completions at the caret of the filter: its keys, then the existing values. */
import type { SessionItem } from "../wire/types.ts";
import { FILTER_KEYS, type FilterKey, fixedValues, modelOf, placeOf, type Token, tokensOf } from "./filter.ts";
import { baseName } from "./text.ts";

export type Completion = {
  /** The whole filter after this completion is chosen. */
  readonly query: string;
  readonly label: string;
  readonly note: string;
};

const SHOWN_MAX = 8;

/** Return what completes the last term of a filter, the most frequent first; nothing where it is complete. */
export function completionsOf(query: string, items: Iterable<SessionItem>): readonly Completion[] {
  const last = lastTerm(query);
  const before = query.slice(0, last.from);
  const sign = last.text.startsWith("-") ? "-" : "";
  const body = last.text.slice(sign.length);
  const colon = body.indexOf(":");
  if (colon < 0) return keysFor(before + sign, body.toLowerCase());
  const key = body.slice(0, colon).toLowerCase();
  if (!(key in FILTER_KEYS)) return [];
  const given = body.slice(colon + 1);
  const comma = given.lastIndexOf(",") + 1;
  const start = `${before}${sign}${key}:${given.slice(0, comma)}`;
  return valuesFor(key as FilterKey, start, given.slice(comma).replaceAll('"', "").toLowerCase(), items);
}

/** Return the term that the filter ends with; an empty one after a blank. */
function lastTerm(query: string): Token {
  const last = tokensOf(query).at(-1);
  const end = { text: "", from: query.length, to: query.length };
  return last && last.to === query.length ? last : end;
}

function keysFor(start: string, typed: string): readonly Completion[] {
  return Object.entries(FILTER_KEYS)
    .filter(([key]) => key.startsWith(typed))
    .map(([key, note]) => ({ query: `${start}${key}:`, label: `${key}:`, note }));
}

function valuesFor(key: FilterKey, start: string, typed: string, items: Iterable<SessionItem>): readonly Completion[] {
  return [...countsOf(key, items)]
    .filter(([value]) => value.toLowerCase().includes(typed) && value.toLowerCase() !== typed)
    .sort(([one, many], [other, more]) => more - many || one.localeCompare(other))
    .slice(0, SHOWN_MAX)
    .map(([value, count]) => ({
      query: `${start}${quoted(value)} `,
      label: value,
      note: count > 0 ? String(count) : "",
    }));
}

function quoted(value: string): string {
  return /[\s,]/.test(value) ? `"${value}"` : value;
}

/** Return the values of a key with how many sessions have each; 0 for those of a fixed list. */
function countsOf(key: FilterKey, items: Iterable<SessionItem>): ReadonlyMap<string, number> {
  const named = fixedValues(key);
  if (named) return new Map(named.map(value => [value, 0]));
  const counts = new Map<string, number>();
  for (const item of items) {
    for (const value of valuesIn(key, item)) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return counts;
}

function valuesIn(key: FilterKey, item: SessionItem): readonly string[] {
  if (key === "tag") return item.tags;
  if (key === "repo") return [baseName(placeOf(item))];
  if (key === "host") return item.host === null ? [] : [item.host];
  const value = key === "agent" ? item.agent : key === "model" ? modelOf(item) : item.branch;
  return value === null ? [] : [value];
}
