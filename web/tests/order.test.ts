import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { parseFilter } from "../src/core/filter.ts";
import type { View } from "../src/core/groups.ts";
import { Order } from "../src/features/fleet/order.ts";
import { Selection } from "../src/features/fleet/selection.ts";
import { Frames, Keyed } from "../src/state/store.ts";
import { REST_MS } from "../src/ui/hold.ts";
import type { SessionItem } from "../src/wire/types.ts";
import { session } from "./sessions.ts";

const VIEW: View = { filter: parseFilter(""), group: "state", sort: "title" };

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A list of two idle sessions; `shown` is what it shows, `changes` how often it was told anew. */
function list() {
  const frames = new Frames();
  const sessions = new Keyed<SessionItem>(frames);
  sessions.setAll([session("a"), session("b")].map(item => [item.id, item] as const));
  const order = new Order(sessions);
  order.get(VIEW);
  const told = vi.fn();
  order.subscribe(told);
  const end = order.follow();
  frames.flush();
  const shown = (): string =>
    order
      .get(VIEW)
      .clusters.map(each => `${each.key}:${each.places.map(place => place.id)}`)
      .join(" ");
  const set = (item: SessionItem): void => {
    sessions.set(item.id, item);
    frames.flush();
  };
  return { order, sessions, shown, set, told, end, frames };
}

test("rows keep their place while the pointer moves over the list, and take the new one when it leaves", () => {
  const { order, shown, set, end } = list();
  expect(shown()).toBe("idle:a,b");
  order.pointer.begin();
  set(session("b", { status: "active" }));
  set(session("c"));
  expect(shown()).toBe("idle:a,b");
  expect(order.get(VIEW).isWaiting).toBe(true);
  order.pointer.end();
  expect(shown()).toBe("working:b idle:a,c");
  expect(order.get(VIEW).isWaiting).toBe(false);
  end();
});

test("a pointer that rests holds nothing after a while, and what moves again holds anew", () => {
  const { order, shown, set, end } = list();
  order.pointer.begin();
  set(session("b", { status: "active" }));
  vi.advanceTimersByTime(REST_MS - 1);
  expect(shown()).toBe("idle:a,b");
  vi.advanceTimersByTime(1);
  expect(shown()).toBe("working:b idle:a");
  order.pointer.begin();
  set(session("b"));
  expect(shown()).toBe("working:b idle:a");
  end();
});

test("what the person asks for takes effect while the list is held", () => {
  const { order, set, end } = list();
  order.pointer.begin();
  set(session("b", { status: "active" }));
  const asked = order.get({ ...VIEW, filter: parseFilter("status:working") });
  expect(asked.clusters.map(each => each.places)).toEqual([[{ id: "b", depth: 0 }]]);
  end();
});

test("what streams tells the list nothing", () => {
  const { set, told, end } = list();
  told.mockClear();
  for (let count = 0; count < 50; count += 1) set(session("a", { costUsd: count }));
  expect(told).not.toHaveBeenCalled();
  end();
});

test("a change that was taken back while the list was held leaves it as it was", () => {
  const { order, shown, set, end } = list();
  order.pointer.begin();
  set(session("b", { status: "active" }));
  set(session("b"));
  order.pointer.end();
  expect(shown()).toBe("idle:a,b");
  end();
});

test("a selection extends from where it began, in the order of the list", () => {
  const selection = new Selection();
  const order = ["a", "b", "c", "d", "e"];
  selection.toggle("d");
  selection.extendTo("b", order);
  expect([...selection.ids.get()].sort()).toEqual(["b", "c", "d"]);
  selection.extendTo("gone", order);
  selection.toggle("c");
  expect([...selection.ids.get()].sort()).toEqual(["b", "d"]);
  selection.clear();
  selection.extendTo("c", order);
  expect(selection.ids.get()).toEqual(["c"]);
});
