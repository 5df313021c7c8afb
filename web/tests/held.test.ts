import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Cell, Frames } from "../src/state/store.ts";
import { Hold, REST_MS } from "../src/ui/hold.ts";
import { heldItems } from "../src/widgets/held-items.ts";
import type { InboxItem } from "../src/wire/types.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test("nothing is shown while the pointer is pressed, and everything after its release", () => {
  const frames = new Frames();
  const cell = new Cell(0, frames);
  const shown: number[] = [];
  cell.subscribe(() => shown.push(cell.get()));
  cell.set(1);
  frames.hold(); // the frame is due already
  vi.runAllTimers();
  cell.set(2);
  vi.runAllTimers();
  expect(shown).toEqual([]);
  frames.release();
  vi.runAllTimers();
  expect(shown).toEqual([2]);
  cell.set(3);
  vi.runAllTimers();
  expect(shown).toEqual([2, 3]);
});

test("an element is held while the pointer moves over it, and not by a finger", () => {
  const changed = vi.fn();
  const { listeners } = new Hold(changed);
  const move = (pointerType: string) => listeners.onPointerMove({ pointerType } as never);
  move("touch");
  expect(changed).not.toHaveBeenCalled();
  move("mouse");
  vi.advanceTimersByTime(REST_MS - 1);
  move("mouse");
  vi.advanceTimersByTime(REST_MS - 1);
  expect(changed).toHaveBeenLastCalledWith(true);
  vi.advanceTimersByTime(1);
  expect(changed).toHaveBeenLastCalledWith(false);
  move("mouse");
  listeners.onPointerLeave();
  expect(changed).toHaveBeenLastCalledWith(false);
});

test("in a list that is held what is gone keeps its place, and what is new comes last", () => {
  const item = (id: string, detail = "") => ({ id, detail }) as InboxItem;
  const first = [item("a"), item("c")];
  const second = heldItems(first, [item("b"), item("c", "newer")]);
  expect(second).toEqual([item("a"), item("c", "newer"), item("b")]);
  expect(heldItems(second, [])).toEqual(second);
});
