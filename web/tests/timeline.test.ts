import { expect, test } from "vitest";
import { placeOf, positionAt, ticksOf } from "../src/core/timeline.ts";
import type { TurnItem } from "../src/wire/types.ts";

const turn = (number: number, position: number, endPosition: number | null) =>
  ({ number, position, endPosition }) as TurnItem;
const TICKS = ticksOf(10, 500, [turn(1, 20, 40), turn(2, 300, null)]);

test("the bar has a tick for each begin and end, once and in order", () => {
  expect(TICKS.map(tick => tick.position)).toEqual([10, 20, 40, 300, 500]);
});

test("every turn has the same width, however many events others wrote meanwhile", () => {
  expect(placeOf(20, TICKS)).toBe(0.25);
  expect(placeOf(40, TICKS)).toBe(0.5);
  expect(placeOf(300, TICKS)).toBe(0.75);
  expect(placeOf(500, TICKS)).toBe(1);
});

test("a place leads to the position that stands there", () => {
  for (let position = 10; position <= 500; position += 1)
    expect(positionAt(placeOf(position, TICKS), TICKS)).toBe(position);
});

test("a session of one event has a bar too", () => {
  const one = ticksOf(7, 7, []);
  expect(placeOf(7, one)).toBe(1);
  expect(positionAt(0.3, one)).toBe(7);
});
