/**
 * The order of the list: which sessions are shown, in which group, and where.
 *
 * Every session that is shown is in exactly one group, once. A child stands below its parent where both are in one group,
 * and by itself elsewhere: a child that needs a person must not hide below a parent that does not. Streamed changes (text,
 * costs, diffs) move no row unless the list is sorted by them.
 */
import type { SessionItem } from "../wire/types.ts";
import { type Filter, matches, placeOf } from "./filter.ts";
import { LOCAL } from "./hosts.ts";
import { GROUPS, type Group, groupOf } from "./status.ts";
import { baseName } from "./text.ts";

export type GroupBy = "state" | "repository" | "parent" | "tag" | "host";
export type SortBy = "changed" | "age" | "cost" | "title";

export type View = { readonly filter: Filter; readonly group: GroupBy; readonly sort: SortBy };

/** Sessions that ended longer ago than this are in the history alone, in ms. */
export const ENDED_SHOWN_MS = 24 * 3_600_000;

/** A session's place in a group: the number of its ancestors there. */
export type Place = { readonly id: string; readonly depth: number };

export type Cluster = {
  readonly key: string;
  readonly title: string;
  readonly places: readonly Place[];
  /** How many of them need a person. */
  readonly needing: number;
};

/** The facts of a session that decide its place. */
type Facts = {
  readonly id: string;
  readonly parentId: string | null;
  readonly title: string;
  readonly endedMs: number;
  readonly isMatch: boolean;
  readonly state: Group;
  readonly cluster: string;
  readonly rank: number;
  readonly order: number | string;
};

const RANKS: Readonly<Record<Group, number>> = { needs: 0, working: 1, idle: 2, ended: 3 };

/** Places sessions, and again only those whose items changed. */
export class Arrangement {
  readonly #view: View;
  #facts = new Map<string, { readonly item: SessionItem; readonly facts: Facts }>();
  #decisive: readonly Facts[] = [];
  #clusters: readonly Cluster[] = [];
  /** How many sessions there are, before the filter. */
  total = 0;

  constructor(view: View) {
    this.#view = view;
  }

  /** Return the groups; the same array as before where nothing has moved. */
  update(items: Iterable<SessionItem>, nowMs: number): readonly Cluster[] {
    const facts = this.#read(items);
    const recent = facts.filter(each => !(each.endedMs < nowMs - ENDED_SHOWN_MS));
    this.total = recent.length;
    const shown = recent.filter(each => each.isMatch);
    // A family has the id of its oldest session, which the filter may hide.
    const decisive = this.#view.group === "parent" ? [...shown, ...facts] : shown;
    if (isSame(decisive, this.#decisive)) return this.#clusters;
    this.#decisive = decisive;
    this.#clusters = cluster(shown, facts, this.#view);
    return this.#clusters;
  }

  #read(items: Iterable<SessionItem>): readonly Facts[] {
    const known = new Map<string, { readonly item: SessionItem; readonly facts: Facts }>();
    const all: Facts[] = [];
    for (const item of items) {
      const before = this.#facts.get(item.id);
      const entry = before?.item === item ? before : { item, facts: keep(before?.facts, factsOf(item, this.#view)) };
      known.set(item.id, entry);
      all.push(entry.facts);
    }
    this.#facts = known;
    return all;
  }
}

/** Return the old facts if the new ones are equal. */
function keep(before: Facts | undefined, now: Facts): Facts {
  if (before === undefined) return now;
  const keys = Object.keys(now) as (keyof Facts)[];
  return keys.every(key => Object.is(before[key], now[key])) ? before : now;
}

function isSame<Value>(one: readonly Value[], other: readonly Value[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}

function factsOf(item: SessionItem, view: View): Facts {
  const state = groupOf(item);
  return {
    id: item.id,
    parentId: item.parentId,
    title: item.title,
    endedMs: item.endedAt === null ? Number.NaN : Date.parse(item.endedAt),
    isMatch: matches(view.filter, item),
    state,
    cluster: clusterOf(item, state, view.group),
    rank: view.sort === "changed" ? RANKS[state] : 0,
    order: orderOf(item, view.sort),
  };
}

/** Return the key of the group; for `parent` it follows from the others. */
function clusterOf(item: SessionItem, state: Group, group: GroupBy): string {
  if (group === "state") return state;
  if (group === "repository") return placeOf(item);
  if (group === "host") return item.host ?? "";
  return group === "tag" ? (item.tags[0] ?? "") : "";
}

/** `changed` is when the state changed, and not when the item did: a session that writes keeps its place. */
function orderOf(item: SessionItem, sort: SortBy): number | string {
  if (sort === "title") return item.title.toLowerCase();
  if (sort === "cost") return -item.costUsd;
  return -Date.parse(sort === "age" ? item.createdAt : item.statusSince);
}

function compare(one: Facts, other: Facts): number {
  if (one.rank !== other.rank) return one.rank - other.rank;
  if (one.order !== other.order) return one.order < other.order ? -1 : 1;
  return one.id < other.id ? -1 : 1;
}

function cluster(shown: readonly Facts[], all: readonly Facts[], view: View): readonly Cluster[] {
  const byId = new Map(all.map(each => [each.id, each]));
  const keyOf = view.group === "parent" ? familiesOf(byId) : (each: Facts) => each.cluster;
  const members = new Map<string, Facts[]>();
  for (const each of [...shown].sort(compare)) {
    const key = keyOf(each);
    const before = members.get(key);
    if (before) before.push(each);
    else members.set(key, [each]);
  }
  const titles = titlesOf([...members.keys()], view.group, byId);
  return [...members]
    .map(([key, sorted]) => ({
      key,
      title: titles(key),
      places: nested(sorted),
      needing: sorted.filter(each => each.state === "needs").length,
    }))
    .sort((one, other) => compareClusters(one, other, view.group));
}

/** Return the function that gives the id of a session's family: its oldest ancestor's; empty without parent and child. */
function familiesOf(byId: ReadonlyMap<string, Facts>): (facts: Facts) => string {
  const parents = new Set([...byId.values()].map(each => each.parentId));
  return facts => {
    const root = ancestorOf(facts, byId, () => true);
    return root.parentId !== null ? root.parentId : parents.has(root.id) ? root.id : "";
  };
}

/** Return the farthest ancestor that `within` has; the session itself if it has none. */
function ancestorOf(facts: Facts, byId: ReadonlyMap<string, Facts>, within: (parent: Facts) => boolean): Facts {
  const seen = new Set<string>();
  let root = facts;
  while (root.parentId !== null && !seen.has(root.id)) {
    seen.add(root.id);
    const parent = byId.get(root.parentId);
    if (parent === undefined || !within(parent)) break;
    root = parent;
  }
  return root;
}

/** Put children below their parents. A family has the place of its first session. */
function nested(sorted: readonly Facts[]): readonly Place[] {
  const byId = new Map(sorted.map(each => [each.id, each]));
  const children = new Map<string, Facts[]>();
  for (const each of sorted) {
    if (each.parentId === null || !byId.has(each.parentId)) continue;
    const before = children.get(each.parentId);
    if (before) before.push(each);
    else children.set(each.parentId, [each]);
  }
  const places: Place[] = [];
  const placed = new Set<string>();
  const place = (facts: Facts, depth: number): void => {
    if (placed.has(facts.id)) return;
    placed.add(facts.id);
    places.push({ id: facts.id, depth });
    for (const child of children.get(facts.id) ?? []) place(child, depth + 1);
  };
  for (const each of sorted) {
    if (!placed.has(each.id))
      place(
        ancestorOf(each, byId, () => true),
        0,
      );
    place(each, 0); // a session whose ancestors form a circle is shown, too
  }
  return places;
}

function titlesOf(keys: readonly string[], group: GroupBy, byId: ReadonlyMap<string, Facts>): (key: string) => string {
  switch (group) {
    case "state":
      return key => GROUPS.find(each => each.key === key)?.title ?? key;
    case "repository":
      return key => shortPath(key, keys);
    case "tag":
      return key => (key === "" ? "No tag" : key);
    case "host":
      return key => (key === "" ? "No host yet" : key === LOCAL ? "local, the server's machine" : key);
    case "parent":
      return key =>
        key === "" ? "No parent, no children" : (byId.get(key)?.title ?? "A parent that is not in the list");
  }
}

/** Return the last step of a path, with the step before it if two paths would have the same name. */
function shortPath(path: string, all: readonly string[]): string {
  const name = baseName(path);
  const isAmbiguous = all.some(other => other !== path && baseName(other) === name);
  if (!isAmbiguous) return name;
  const above = baseName(path.slice(0, path.replace(/\/+$/, "").lastIndexOf("/")));
  return `${above}/${name}`;
}

function compareClusters(one: Cluster, other: Cluster, group: GroupBy): number {
  if (group === "state") return RANKS[one.key as Group] - RANKS[other.key as Group];
  if (one.key === "" || other.key === "") return one.key === "" ? 1 : -1;
  return one.title.localeCompare(other.title) || (one.key < other.key ? -1 : 1);
}

export type Row =
  | { readonly kind: "group"; readonly key: string; readonly cluster: Cluster; readonly isFolded: boolean }
  | {
      readonly kind: "session";
      readonly key: string;
      readonly depth: number;
      /** The place in its group, from 1, and how many the group has. */
      readonly at: number;
      readonly of: number;
    };

/** Return the rows of the list: each group's head and, unless it is folded, its sessions. */
export function rowsOf(clusters: readonly Cluster[], isFolded: (key: string) => boolean): readonly Row[] {
  return clusters.flatMap(cluster => {
    const head: Row = { kind: "group", key: `group:${cluster.key}`, cluster, isFolded: isFolded(cluster.key) };
    if (head.isFolded) return [head];
    const of = cluster.places.length;
    return [
      head,
      ...cluster.places.map(({ id, depth }, index): Row => ({ kind: "session", key: id, depth, at: index + 1, of })),
    ];
  });
}
