/**
 * Values by key, with subscribers by key, and one flush per animation frame.
 *
 * Two hundred streaming sessions make thousands of changes a second; a row renders at most once a frame, and only when
 * its own value changed. `keys` is an immutable list that changes only when keys come, go, or are put into another order.
 *
 * While the pointer is pressed nothing is flushed: a change that removes or moves the pressed element would take its click.
 */
import { useCallback, useSyncExternalStore } from "react";

type Listener = () => void;

/** Calls each scheduled function once, in the next frame; in a hidden tab, which has no frames, after a short timeout. */
export class Frames {
  #due = new Set<Listener>();
  #scheduled = false;
  #isHeld = false;

  readonly schedule = (listener: Listener): void => {
    this.#due.add(listener);
    this.#request();
  };

  /** Call no function until `release`. */
  readonly hold = (): void => {
    this.#isHeld = true;
  };

  readonly release = (): void => {
    this.#isHeld = false;
    if (this.#due.size > 0) this.#request();
  };

  #request(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    if (typeof document !== "undefined" && document.visibilityState === "visible") requestAnimationFrame(this.flush);
    else setTimeout(this.flush, 50);
  }

  readonly flush = (): void => {
    this.#scheduled = false;
    if (this.#isHeld) return;
    const due = this.#due;
    this.#due = new Set();
    for (const listener of due) listener();
  };
}

export const frames = new Frames();

/** One value with subscribers. */
export class Cell<Value> {
  #value: Value;
  readonly #listeners = new Set<Listener>();
  readonly #frames: Frames | null;

  /** Without `inFrames`, subscribers are notified at once. */
  constructor(value: Value, inFrames: Frames | null = frames) {
    this.#value = value;
    this.#frames = inFrames;
  }

  readonly get = (): Value => this.#value;

  set(value: Value): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of this.#listeners) {
      if (this.#frames) this.#frames.schedule(listener);
      else listener();
    }
  }

  readonly subscribe = (listener: Listener): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
}

/** Many values by key. */
export class Keyed<Value> {
  readonly #values = new Map<string, Value>();
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #frames: Frames;
  /** All keys, in the order in which they came. */
  readonly keys: Cell<readonly string[]>;
  /** Grows with every change of any value. */
  readonly version: Cell<number>;

  constructor(inFrames: Frames = frames) {
    this.#frames = inFrames;
    this.keys = new Cell<readonly string[]>([], inFrames);
    this.version = new Cell(0, inFrames);
  }

  get(key: string): Value | undefined {
    return this.#values.get(key);
  }

  values(): IterableIterator<Value> {
    return this.#values.values();
  }

  get size(): number {
    return this.#values.size;
  }

  set(key: string, value: Value): void {
    const isNew = !this.#values.has(key);
    if (!isNew && Object.is(this.#values.get(key), value)) return;
    this.#values.set(key, value);
    if (isNew) this.keys.set([...this.keys.get(), key]);
    this.#changed(key);
  }

  /** Set many at once: the list of keys is made once. */
  setAll(entries: Iterable<readonly [string, Value]>): void {
    const added: string[] = [];
    for (const [key, value] of entries) {
      if (!this.#values.has(key)) added.push(key);
      this.#values.set(key, value);
      this.#changed(key);
    }
    if (added.length > 0) this.keys.set([...this.keys.get(), ...added]);
  }

  delete(key: string): void {
    if (!this.#values.delete(key)) return;
    this.keys.set(this.keys.get().filter(each => each !== key));
    this.#changed(key);
  }

  /** Delete all others. */
  keepOnly(keys: ReadonlySet<string>): void {
    const gone = [...this.#values.keys()].filter(key => !keys.has(key));
    if (gone.length === 0) return;
    for (const key of gone) this.#values.delete(key);
    this.keys.set(this.keys.get().filter(key => keys.has(key)));
    for (const key of gone) this.#changed(key);
  }

  subscribe(key: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(key) === listeners) this.#listeners.delete(key);
    };
  }

  #changed(key: string): void {
    this.version.set(this.version.get() + 1);
    for (const listener of this.#listeners.get(key) ?? []) this.#frames.schedule(listener);
  }
}

/** The value of a cell; renders when it changes. */
export function useCell<Value>(cell: Cell<Value>): Value {
  return useSyncExternalStore(cell.subscribe, cell.get);
}

/** The value of one key; renders when that one changes. */
export function useKey<Value>(store: Keyed<Value>, key: string): Value | undefined {
  const subscribe = useCallback((listener: Listener) => store.subscribe(key, listener), [store, key]);
  const get = useCallback(() => store.get(key), [store, key]);
  return useSyncExternalStore(subscribe, get);
}
