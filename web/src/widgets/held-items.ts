/** Keeps the entries of a list in their places while the pointer moves over it. */
import { useRef } from "react";
import { type Hold, useHold } from "../ui/hold.ts";
import type { InboxItem } from "../wire/types.ts";

export type HeldItem = {
  readonly item: InboxItem;
  /** It does not wait any more: it only keeps its place. */
  readonly isGone: boolean;
};

/** Return the entries to show, and the listeners of their list. */
export function useHeldItems(items: readonly InboxItem[]): readonly [readonly HeldItem[], Hold["listeners"]] {
  const [isHeld, listeners] = useHold();
  const shown = useRef(items);
  shown.current = isHeld ? heldItems(shown.current, items) : items;
  const ids = new Set(items.map(item => item.id));
  return [shown.current.map(item => ({ item, isGone: !ids.has(item.id) })), listeners];
}

/** Return the newest items, each in the place that it has: those that are gone stay, and new ones come last. */
export function heldItems(shown: readonly InboxItem[], newest: readonly InboxItem[]): readonly InboxItem[] {
  const byId = new Map(newest.map(item => [item.id, item]));
  const known = new Set(shown.map(item => item.id));
  return [...shown.map(item => byId.get(item.id) ?? item), ...newest.filter(item => !known.has(item.id))];
}
