/** Moves between sessions in the order of the list, even if the list is not on the page. */

import { parseFilter } from "../../core/filter.ts";
import { Arrangement } from "../../core/groups.ts";
import { needsYou } from "../../core/status.ts";
import type { Keyed } from "../../state/store.ts";
import type { SessionItem } from "../../wire/types.ts";
import { isFoldedNow, lastLook } from "./view.ts";

export type Way = "previous" | "next" | "next-needing";

/** Return the next session; null if there is none. After the end of the list comes its beginning. */
export function sessionBeside(sessions: Keyed<SessionItem>, openId: string | null, way: Way): string | null {
  const look = lastLook.get();
  const clusters = new Arrangement({ ...look, filter: parseFilter(look.q) }).update(sessions.values(), Date.now());
  const ids = clusters
    .filter(each => way === "next-needing" || !isFoldedNow(look, each.key))
    .flatMap(each => each.places.map(place => place.id));
  const at = openId === null ? -1 : ids.indexOf(openId);
  if (way === "previous") return ids.at(at < 0 ? -1 : at - 1) ?? null;
  const following = [...ids.slice(at + 1), ...ids.slice(0, Math.max(0, at))];
  if (way === "next") return following[0] ?? null;
  return following.find(id => isNeeding(sessions.get(id))) ?? null;
}

function isNeeding(item: SessionItem | undefined): boolean {
  return item !== undefined && needsYou(item);
}
