import { beforeEach, expect, test, vi } from "vitest";

/** A storage, whose names are its own keys as those of a browser's are. */
class Kept {
  [name: string]: unknown;
  getItem(name: string): unknown {
    return Object.hasOwn(this, name) ? this[name] : null;
  }
  setItem(name: string, value: string): void {
    this[name] = value;
  }
  removeItem(name: string): void {
    delete this[name];
  }
}

let kept = new Kept();

beforeEach(() => {
  vi.resetModules();
  kept = new Kept();
  vi.stubGlobal("localStorage", kept);
  for (const name of ["fleet.theme", "fleet.recent", "fleet.folded", "fleet.review.a"]) kept.setItem(name, "x");
});

const names = (): string[] => Object.keys(kept).sort();

test("who logs out leaves the look of the page, and nothing of the work", async () => {
  const { forgetPerson } = await import("../src/browser/person.ts");
  await forgetPerson();
  expect(names()).toEqual(["fleet.theme"]);
});

test("another token finds nothing of the one before", async () => {
  const { isSomebodyElse } = await import("../src/browser/person.ts");
  expect(await isSomebodyElse("token:ann")).toBe(false);
  expect(await isSomebodyElse("token:ann")).toBe(false);
  expect(names()).toContain("fleet.review.a");
  expect(await isSomebodyElse("token:bob")).toBe(true);
  expect(names()).toEqual(["fleet.caller", "fleet.theme"]);
  expect(await isSomebodyElse("token:bob")).toBe(false);
});

test("the user of the machine keeps everything when the first token is made", async () => {
  const { isSomebodyElse } = await import("../src/browser/person.ts");
  expect(await isSomebodyElse("local")).toBe(false);
  expect(await isSomebodyElse("token:ann")).toBe(false);
  expect(names()).toContain("fleet.review.a");
});
