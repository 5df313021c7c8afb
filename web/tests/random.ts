/** Random numbers that are the same in each run, for tests of laws. */

/** Return a source of numbers in [0, 1). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Return a whole number from `from` to `to`, both included. */
export function whole(next: () => number, from: number, to: number): number {
  return from + Math.floor(next() * (to - from + 1));
}
