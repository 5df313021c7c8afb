/** Whether the server is there, for what is not a component: one answer for the whole page. */
import { Cell } from "./store.ts";

export const isPresent = new Cell(false, null);

/** Resolve when the server is there; at once where it is. */
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
