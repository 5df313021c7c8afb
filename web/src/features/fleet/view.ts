/** The settings of the list: filter, grouping, order, folded groups. The page and the rail share them. */
import { useCallback, useMemo, useSyncExternalStore } from "react";
import { readSetting, writeSetting } from "../../browser/storage.ts";
import { parseFilter } from "../../core/filter.ts";
import type { GroupBy, SortBy, View } from "../../core/groups.ts";
import { Cell, useCell } from "../../state/store.ts";

export const GROUPINGS: readonly { readonly value: GroupBy; readonly label: string }[] = [
  { value: "state", label: "state" },
  { value: "repository", label: "repository" },
  { value: "parent", label: "parent" },
  { value: "tag", label: "tag" },
  { value: "host", label: "host" },
];

export const SORTS: readonly { readonly value: SortBy; readonly label: string }[] = [
  { value: "changed", label: "last change" },
  { value: "age", label: "newest" },
  { value: "cost", label: "cost" },
  { value: "title", label: "title" },
];

export type Look = { readonly q: string; readonly group: GroupBy; readonly sort: SortBy };

/** The settings that were used last. The rail uses them, and the page does if its address has none. */
export const lastLook = new Cell<Look>(
  {
    q: "",
    group: GROUPINGS.find(each => each.value === readSetting("group"))?.value ?? "state",
    sort: SORTS.find(each => each.value === readSetting("sort"))?.value ?? "changed",
  },
  null,
);

export function keepLook(look: Look): void {
  const before = lastLook.get();
  if (before.q === look.q && before.group === look.group && before.sort === look.sort) return;
  lastLook.set(look);
  writeSetting("group", look.group === "state" ? null : look.group);
  writeSetting("sort", look.sort === "changed" ? null : look.sort);
}

/** Return the settings as the address of the page has them. */
export function searchOf({ q, group, sort }: Look): {
  readonly q?: string;
  readonly group: GroupBy;
  readonly sort: SortBy;
} {
  return { ...(q === "" ? {} : { q }), group, sort };
}

/** Return the criteria of the order; the same object for the same settings. */
export function useView({ q, group, sort }: Look): View {
  return useMemo(() => ({ filter: parseFilter(q), group, sort }), [q, group, sort]);
}

function readFolds(): ReadonlySet<string> {
  const kept = readSetting("folded");
  return new Set(kept === null ? ["state/ended"] : kept.split("\n").filter(Boolean));
}

const folds = new Cell<ReadonlySet<string>>(readFolds(), null);
/** The folded groups while a filter is set: none at first, because matches must be visible. */
const foldsOfFilter = new Cell<ReadonlySet<string>>(new Set(), null);

window.addEventListener("storage", event => {
  if (event.key === "fleet.folded") folds.set(readFolds());
});

export type Folds = { readonly isFolded: (key: string) => boolean; readonly toggle: (key: string) => void };

/** Return whether a group is folded now. */
export function isFoldedNow(look: Look, key: string): boolean {
  return (look.q === "" ? folds : foldsOfFilter).get().has(`${look.group}/${key}`);
}

/** Return which groups are folded; remembered by this browser. */
export function useFolds(look: Look): Folds {
  const cell = look.q === "" ? folds : foldsOfFilter;
  const folded = useCell(cell);
  const { group } = look;
  const isFolded = useCallback((key: string) => folded.has(`${group}/${key}`), [folded, group]);
  const toggle = useCallback(
    (key: string) => {
      const next = new Set(cell.get());
      const name = `${group}/${key}`;
      if (!next.delete(name)) next.add(name);
      cell.set(next);
      if (cell === folds) writeSetting("folded", [...next].join("\n"));
    },
    [cell, group],
  );
  return { isFolded, toggle };
}

/** Whether a media query holds now. */
export function useMedia(query: string): boolean {
  const media = useMemo(() => matchMedia(query), [query]);
  return useSyncExternalStore(
    listener => {
      media.addEventListener("change", listener);
      return () => media.removeEventListener("change", listener);
    },
    () => media.matches,
  );
}
