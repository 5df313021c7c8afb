/**
 * The parts of the page that are loaded when they are first needed, and soon after the start in any case: then the
 * page is complete, and works without the server.
 */
import { presence } from "./presence.ts";

const ATTEMPTS = 4;
const PAUSE_MS = 500;

const loaders: (() => Promise<unknown>)[] = [];

/**
 * Return the function that loads a part. A load that fails is retried when the server responds, so that no part is
 * missing. If the retry fails too, as after a new version of the page, it rejects.
 */
export function part<Module>(load: () => Promise<Module>): () => Promise<Module> {
  async function loaded(): Promise<Module> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await load();
      } catch (error) {
        if (attempt === ATTEMPTS) throw error;
        await presence();
        await new Promise(resolve => setTimeout(resolve, PAUSE_MS * attempt));
      }
    }
  }
  loaders.push(loaded);
  return loaded;
}

/** Load every part, one after the other, while the browser has nothing else to do. */
export async function loadAll(): Promise<void> {
  await presence();
  for (const load of loaders) {
    await idle();
    await load().catch(() => undefined); // the user of the part shows the error
  }
}

function idle(): Promise<void> {
  return new Promise(resolve => {
    if ("requestIdleCallback" in window) requestIdleCallback(() => resolve(), { timeout: 5_000 });
    else setTimeout(resolve, 200);
  });
}
