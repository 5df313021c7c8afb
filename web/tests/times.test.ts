import { expect, test } from "vitest";
import { clock, moment, shortMoment } from "../src/core/times.ts";

const AT = new Date(2026, 10, 9, 7, 5, 4).getTime(); // in the time zone of this machine

test("a moment is written as an ISO date and a time, with two digits each", () => {
  expect(moment(AT)).toBe("2026-11-09 07:05:04");
  expect(moment(new Date(AT).toISOString())).toBe("2026-11-09 07:05:04");
  expect(clock(AT)).toBe("07:05:04");
});

test("the day is left out today alone", () => {
  expect(shortMoment(AT, AT + 60_000)).toBe("07:05");
  expect(shortMoment(AT, AT + 86_400_000)).toBe("2026-11-09 07:05");
});
