/**
 * The actions that are available now. Features register functions for the keymap's actions while they are mounted; keys,
 * palette and buttons run the same function.
 */
import { useEffect, useRef } from "react";
import type { ActionId } from "../core/keymap.ts";
import { Cell } from "./store.ts";

export type Action = {
  /** An id of the keymap, or a new id for an action that only the palette has. */
  readonly id: string;
  readonly label: string;
  readonly run: () => void;
  /** More words by which the palette finds it. */
  readonly words?: string;
};

/** All registered actions. The newest is last, and replaces earlier ones with the same id. */
export const actions = new Cell<readonly Action[]>([], null);

/** Run an action. Return false if it is not registered. */
export function runAction(id: ActionId | string): boolean {
  const found = actions.get().findLast(each => each.id === id);
  found?.run();
  return found !== undefined;
}

export function isRegistered(id: string): boolean {
  return actions.get().some(each => each.id === id);
}

/**
 * Register actions while the component is mounted. An action that is `null` or `false` is not available.
 *
 * Their functions may change with every render; keys and palette always run the newest.
 */
export function useActions(offered: readonly (Action | null | false)[]): void {
  const newest = useRef(offered);
  newest.current = offered;
  const names = offered
    .map(each => (each ? `${each.id}\u0000${each.label}\u0000${each.words ?? ""}` : ""))
    .join("\u0001");
  useEffect(() => {
    const mine: Action[] = [];
    for (const entry of names.split("\u0001")) {
      const [id, label, words] = entry.split("\u0000");
      if (id === undefined || id === "" || label === undefined) continue;
      mine.push({ id, label, ...(words ? { words } : {}), run: () => pick(newest.current, id)?.run() });
    }
    actions.set([...actions.get(), ...mine]);
    return () => actions.set(actions.get().filter(each => !mine.includes(each)));
  }, [names]);
}

function pick(offered: readonly (Action | null | false)[], id: string): Action | undefined {
  for (const each of offered) if (each && each.id === id) return each;
  return undefined;
}
