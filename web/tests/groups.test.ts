import { describe, expect, test } from "vitest";
import { matches, parseFilter } from "../src/core/filter.ts";
import { Arrangement, type Cluster, ENDED_SHOWN_MS, type GroupBy, rowsOf, type SortBy } from "../src/core/groups.ts";
import type { SessionItem } from "../src/wire/types.ts";
import { chance, fleetOf, NOW, session } from "./sessions.ts";

function arranged(items: readonly SessionItem[], group: GroupBy = "state", sort: SortBy = "changed", query = "") {
  return new Arrangement({ filter: parseFilter(query), group, sort }).update(items, NOW);
}

/** Return the groups as text: `Title: a, -b` where b stands below a. */
function drawn(clusters: readonly Cluster[]): string[] {
  return clusters.map(
    each => `${each.title}: ${each.places.map(place => "-".repeat(place.depth) + place.id).join(", ")}`,
  );
}

const ago = (minutes: number): string => new Date(NOW - minutes * 60_000).toISOString();

describe("the list", () => {
  test("holds every session that matches exactly once, however it is grouped and sorted", () => {
    for (let seed = 0; seed < 30; seed += 1) {
      const items = fleetOf(chance(seed), 60);
      for (const group of ["state", "repository", "parent", "tag"] as const) {
        for (const sort of ["changed", "age", "cost", "title"] as const) {
          for (const query of ["", "parser", "-is:child", "tag:ui status:idle"]) {
            const ids = arranged(items, group, sort, query).flatMap(each => each.places.map(place => place.id));
            const expected = items
              .filter(item => item.endedAt === null || Date.parse(item.endedAt) >= NOW - ENDED_SHOWN_MS)
              .filter(item => matches(parseFilter(query), item));
            expect([...ids].sort()).toEqual(expected.map(item => item.id).sort());
          }
        }
      }
    }
  });

  test("is the same whether it follows each change or is made at the end", () => {
    const random = chance(3);
    const items = fleetOf(random, 40);
    for (const group of ["state", "parent"] as const) {
      const view = { filter: parseFilter(""), group, sort: "changed" } as const;
      const following = new Arrangement(view);
      for (let step = 0; step < 60; step += 1) {
        const index = Math.floor(random() * items.length);
        items[index] = { ...(fleetOf(random, 40)[index] as SessionItem) };
        expect(drawn(following.update(items, NOW))).toEqual(drawn(new Arrangement(view).update(items, NOW)));
      }
    }
  });

  test("does not move for what streams", () => {
    const before = session("a", { status: "active", costUsd: 1 });
    const arrangement = new Arrangement({ filter: parseFilter(""), group: "state", sort: "changed" });
    const clusters = arrangement.update([before], NOW);
    const writes = {
      ...before,
      costUsd: 2,
      updatedAt: ago(0),
      activity: { kind: "text" as const, text: "more", tool: null, at: ago(0) },
    };
    expect(arrangement.update([writes], NOW)).toBe(clusters);
    expect(arrangement.update([{ ...writes, status: "idle" }], NOW)).not.toBe(clusters);
  });

  test("shows first what needs a person, then the newest change of state", () => {
    const items = [
      session("idle"),
      session("long", { status: "active", statusSince: ago(50) }),
      session("short", { status: "active", statusSince: ago(2) }),
      session("asks", { status: "waiting_input" }),
      session("paused", { queuePaused: "the budget is used", queued: 1 }),
    ];
    expect(drawn(arranged(items))).toEqual(["Needs you: asks, paused", "Working: short, long", "Idle: idle"]);
    expect(drawn(arranged(items, "repository"))).toEqual(["shop: asks, paused, short, long, idle"]);
  });

  test("puts a child below its parent where both are in one group, and by itself elsewhere", () => {
    const items = [
      session("p", { status: "active", statusSince: ago(9) }),
      session("c1", { status: "active", parentId: "p", statusSince: ago(5) }),
      session("c2", { status: "error", parentId: "p" }),
      session("g", { status: "active", parentId: "c1", statusSince: ago(1) }),
      session("x", { status: "active", statusSince: ago(3) }),
    ];
    expect(drawn(arranged(items))).toEqual(["Needs you: c2", "Working: p, -c1, --g, x"]);
    expect(drawn(arranged(items, "parent"))).toEqual(["Session p: p, -c2, -c1, --g", "No parent, no children: x"]);
  });

  test("names repositories of one name by the folder above", () => {
    const items = [session("a", { repository: "/w/shop" }), session("b", { repository: "/v/shop/" })];
    expect(drawn(arranged(items, "repository"))).toEqual(["v/shop: b", "w/shop: a"]);
  });

  test("leaves out what ended a day ago", () => {
    const items = [
      session("new", { status: "stopped", endedAt: ago(23 * 60) }),
      session("old", { status: "stopped", endedAt: ago(25 * 60) }),
    ];
    expect(drawn(arranged(items))).toEqual(["Ended: new"]);
  });

  test("shows only the head of a folded group", () => {
    const clusters = arranged([session("a"), session("b", { status: "active" })]);
    expect(rowsOf(clusters, key => key === "idle").map(row => row.key)).toEqual(["group:working", "b", "group:idle"]);
  });
});
