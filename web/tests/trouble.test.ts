import { expect, test } from "vitest";
import { Refused } from "../src/state/commands.ts";
import { said } from "../src/state/trouble.ts";

test("a part that a new build has taken away asks for a reload, and is called no bug", () => {
  const trouble = said(
    new TypeError("Failed to fetch dynamically imported module: http://localhost:3000/assets/page-1.js"),
  );
  expect(trouble.title).toBe("This page is older than the server");
  expect(trouble.hint).toContain("Reload");
});

test("a refusal is said in the server's words, made harmless", () => {
  const problem = { type: "x", title: "No", status: 409, code: "no", detail: "at \u202eevil", hint: "Wait" };
  expect(said(new Refused(problem))).toEqual({ title: "No", detail: "at ⟨U+202E⟩evil", hint: "Wait", code: "no" });
});

test("anything else is a bug of the page, and says which", () => {
  expect(said(new RangeError("too deep"), "The log").detail).toBe("RangeError: too deep");
});
