/**
 * The order of the list as it is shown: it follows the sessions, and no row moves under the pointer.
 *
 * While the pointer is over the list, no row moves, appears or disappears; the contents of the rows stay live. The
 * new order is shown when the pointer leaves, or has rested for 5 s. What the person does (filter, group, sort, fold)
 * takes effect at once. The order is made again from it at most once a frame, and only when something that decides it
 * has changed.
 */
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { Arrangement, type Cluster, type View } from "../../core/groups.ts";
import { clock } from "../../state/clock.ts";
import { useFleet } from "../../state/context.tsx";
import type { Keyed } from "../../state/store.ts";
import { Hold } from "../../ui/hold.ts";
import type { SessionItem } from "../../wire/types.ts";

/** How often sessions that ended a day ago leave the list, in ms. */
const SWEEP_MS = 60_000;

export type Ordered = {
  readonly clusters: readonly Cluster[];
  /** How many sessions there are, before the filter. */
  readonly total: number;
  /** Whether a newer order waits for the pointer to leave. */
  readonly isWaiting: boolean;
};

export class Order {
  readonly #sessions: Keyed<SessionItem>;
  readonly #listeners = new Set<() => void>();
  #view: View | null = null;
  #arrangement: Arrangement | null = null;
  #ordered: Ordered = { clusters: [], total: 0, isWaiting: false };
  #isHeld = false;
  #sweptMs = 0;

  constructor(sessions: Keyed<SessionItem>) {
    this.#sessions = sessions;
  }

  /** Return the order of a view; a view that is new is arranged at once. */
  get(view: View): Ordered {
    if (view !== this.#view) {
      this.#view = view;
      this.#arrangement = new Arrangement(view);
      this.#ordered = this.#newest();
    }
    return this.#ordered;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Follow the sessions and the clock until the returned function is called. */
  follow(): () => void {
    const ends = [this.#sessions.version.subscribe(this.#refresh), clock.subscribe(this.#sweep)];
    this.#refresh();
    return () => {
      this.pointer.end();
      for (const end of ends) end();
    };
  }

  /** While the pointer moves over the list, every row keeps its place. */
  readonly pointer = new Hold(isOn => {
    this.#isHeld = isOn;
    if (!isOn) this.#refresh();
  });

  readonly #sweep = (): void => {
    if (clock.get() - this.#sweptMs > SWEEP_MS) this.#refresh();
  };

  readonly #refresh = (): void => {
    const newest = this.#newest();
    const shown = this.#ordered;
    if (newest.clusters === shown.clusters && newest.total === shown.total && !shown.isWaiting) return;
    const next = this.#isHeld ? { ...shown, isWaiting: newest.clusters !== shown.clusters } : newest;
    if (next.isWaiting && shown.isWaiting) return;
    this.#ordered = next;
    for (const listener of this.#listeners) listener();
  };

  #newest(): Ordered {
    this.#sweptMs = clock.get();
    const clusters = this.#arrangement?.update(this.#sessions.values(), Date.now()) ?? [];
    return { clusters, total: this.#arrangement?.total ?? 0, isWaiting: false };
  }
}

/** Follow the order of a view while the component is mounted. */
export function useOrder(view: View): readonly [Ordered, Order] {
  const { sessions } = useFleet().fleet;
  const order = useMemo(() => new Order(sessions), [sessions]);
  useEffect(() => order.follow(), [order]);
  return [useSyncExternalStore(order.subscribe, () => order.get(view)), order];
}
