/** Which sessions are selected. A row renders only when its own mark changes. */
import { useMemo } from "react";
import { Keyed, useKey } from "../../state/store.ts";

export class Selection {
  readonly marks = new Keyed<true>();
  /** Where a range begins. */
  #anchor: string | null = null;
  readonly ids = this.marks.keys;

  has(id: string): boolean {
    return this.marks.get(id) === true;
  }

  toggle(id: string): void {
    this.#anchor = id;
    if (this.has(id)) this.marks.delete(id);
    else this.marks.set(id, true);
  }

  /** Select all sessions between the beginning of the range and this one, in the order of the list. */
  extendTo(id: string, order: readonly string[]): void {
    const from = this.#anchor === null ? -1 : order.indexOf(this.#anchor);
    const to = order.indexOf(id);
    if (to < 0) return;
    if (from < 0) this.#anchor = id;
    const [start, end] = from < 0 ? [to, to] : [Math.min(from, to), Math.max(from, to)];
    this.addAll(order.slice(start, end + 1));
  }

  addAll(ids: readonly string[]): void {
    this.marks.setAll(ids.map(id => [id, true] as const));
  }

  clear(): void {
    this.#anchor = null;
    this.marks.keepOnly(new Set());
  }

  /** Remove sessions that no longer exist from the selection. */
  keepOnly(ids: ReadonlySet<string>): void {
    this.marks.keepOnly(ids);
  }
}

export function useIsSelected(selection: Selection, id: string): boolean {
  return useKey(selection.marks, id) === true;
}

export function useSelection(): Selection {
  return useMemo(() => new Selection(), []);
}
