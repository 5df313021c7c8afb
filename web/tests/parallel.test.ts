import { expect, test } from "vitest";
import { forEach } from "../src/core/parallel.ts";

test("work on many runs a few at a time, to the end, and says what was refused", async () => {
  const ids = Array.from({ length: 20 }, (_, index) => `s${index}`);
  let running = 0;
  let most = 0;
  const counts: number[] = [];
  const outcomes = await forEach(
    ids,
    4,
    async id => {
      running += 1;
      most = Math.max(most, running);
      await Promise.resolve();
      running -= 1;
      if (id === "s3") throw new Error("busy");
    },
    error => (error as Error).message,
    done => counts.push(done),
  );
  expect(most).toBe(4);
  expect(counts).toEqual(ids.map((_, index) => index + 1));
  expect(outcomes.map(each => each.id)).toEqual(ids);
  expect(outcomes.filter(each => each.refused !== null)).toEqual([{ id: "s3", refused: "busy" }]);
});

test("work on nothing ends at once", async () => {
  expect(await forEach([], 4, () => Promise.reject(new Error("no")), String)).toEqual([]);
});
