/** Whether the server is reachable, for code outside of components; one value for the whole page. */
import { Cell } from "./store.ts";

export const isPresent = new Cell(false, null);

/** Resolve when the server is reachable; at once if it is now. */
export function presence(): Promise<void> {
  if (isPresent.get()) return Promise.resolve();
  return new Promise(resolve => {
    const end = isPresent.subscribe(() => {
      if (!isPresent.get()) return;
      end();
      resolve();
    });
  });
}
