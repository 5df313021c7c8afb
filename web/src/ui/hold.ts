/** Whether the pointer moves over an element: what is there then keeps its place, so that a click hits what it aims at. */
import { type PointerEvent, useEffect, useState } from "react";

/** After this time without movement the pointer does not count, in ms. */
export const REST_MS = 5_000;

export class Hold {
  readonly #changed: (isOn: boolean) => void;
  #rest: ReturnType<typeof setTimeout> | undefined;

  constructor(changed: (isOn: boolean) => void) {
    this.#changed = changed;
  }

  readonly begin = (): void => {
    clearTimeout(this.#rest);
    this.#rest = setTimeout(this.end, REST_MS);
    this.#changed(true);
  };

  readonly end = (): void => {
    clearTimeout(this.#rest);
    this.#changed(false);
  };

  readonly #moved = (event: PointerEvent): void => {
    if (event.pointerType === "mouse") this.begin();
  };

  /** For the element. */
  readonly listeners = { onPointerMove: this.#moved, onPointerDown: this.#moved, onPointerLeave: this.end };
}

/** Return whether the pointer moves over the element that has these listeners. */
export function useHold(): readonly [boolean, Hold["listeners"]] {
  const [isOn, setOn] = useState(false);
  const [hold] = useState(() => new Hold(setOn));
  useEffect(() => hold.end, [hold]);
  return [isOn, hold.listeners];
}
