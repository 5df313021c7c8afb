/**
 * What this browser keeps for the person who is logged in: drafts, reviews, and where they were last. It goes when they
 * log out, and when somebody else comes in.
 */
import { clearDrafts, closeDrafts } from "./drafts.ts";
import { clearReviews } from "./reviews.ts";
import { readSetting, writeSetting } from "./storage.ts";

const WHOSE = "caller";
const OF_A_PERSON = ["recent", "folded", WHOSE];

/** Forget it all. Other tabs, which may still hold a draft, save none any more. */
export async function forgetPerson(): Promise<void> {
  closeDrafts();
  clearReviews();
  for (const name of OF_A_PERSON) writeSetting(name, null);
  await clearDrafts();
}

/**
 * Note who is here. Return whether that is somebody else than before, so that the page has to begin anew: what was kept
 * is forgotten then. The user of this machine, who needs no token, is the same person with one.
 */
export async function isSomebodyElse(actor: string): Promise<boolean> {
  const before = readSetting(WHOSE);
  const isOther = before !== null && before !== actor && isToken(before) && isToken(actor);
  if (isOther) await forgetPerson();
  writeSetting(WHOSE, actor);
  return isOther;
}

function isToken(actor: string): boolean {
  return actor.startsWith("token:");
}

if (typeof addEventListener === "function")
  addEventListener("storage", ({ key, newValue }) => key === `fleet.${WHOSE}` && newValue === null && closeDrafts());
