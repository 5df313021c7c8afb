/**
 * What this browser keeps for the person who is logged in: drafts, reviews, and where they were last. It is removed when they
 * log out, and when another person logs in.
 */
import { clearDrafts, closeDrafts } from "./drafts.ts";
import { clearReviews } from "./reviews.ts";
import { readSetting, writeSetting } from "./storage.ts";

const WHOSE = "caller";
const OF_A_PERSON = ["recent", "folded", WHOSE];

/** Remove all of it. Other tabs, which may still hold a draft, save no more drafts. */
export async function forgetPerson(): Promise<void> {
  closeDrafts();
  clearReviews();
  for (const name of OF_A_PERSON) writeSetting(name, null);
  await clearDrafts();
}

/**
 * Record the person. Return whether another person was recorded before, so that the page has to start again: the kept data
 * is removed then. The user of this machine, who needs no token, is the same person with one.
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
