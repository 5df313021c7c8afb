/** What agents wrote, made harmless for a reader. */
import { describe, expect, test } from "vitest";
import { decoded } from "../src/core/entities.ts";
import { named, oneLine, plain, unstyled } from "../src/core/text.ts";

describe("plain", () => {
  test.each([
    ["ls \u001b]0;;rm -rf ~;\u0007", "ls ␛]0;;rm -rf ~;␇"],
    ["a\u0000b\u007fc", "a␀b␡c"],
    ["a\u0085b", "a⟨U+0085⟩b"],
    ["user\u202egnp.exe", "user⟨U+202E⟩gnp.exe"],
    ["\u2066x\u2069", "⟨U+2066⟩x⟨U+2069⟩"],
    ["rm\u200b -rf", "rm⟨U+200B⟩ -rf"],
    ["pass\u00adwd", "pass⟨U+00AD⟩wd"],
    ["\ufeffx", "⟨U+FEFF⟩x"],
    ["ad\u200dmin", "ad⟨U+200D⟩min"],
    ["x\u{e0041}y", "x⟨U+E0041⟩y"],
    ["a\ud800b", "a⟨U+D800⟩b"],
    ["line\u2028end", "line⟨U+2028⟩end"],
  ])("shows what %j is", (text, shown) => {
    expect(plain(text)).toBe(shown);
  });

  test.each(["tab\tand\nline", "naïve 日本語 ‘quoted’ — …", "👩‍💻 🏳️‍🌈", "می‌خواهم", "א ב", "𝒳"])("leaves %j", text => {
    expect(plain(text)).toBe(text);
  });

  test("takes ten megabytes of one line", () => {
    expect(plain(unstyled("x\u001b[1m".repeat(2_000_000))).length).toBe(2_000_000);
  });
});

test("a name shows its line ends and tabs", () => {
  expect(named("two\nlines\t.txt")).toBe("two␊lines␉.txt");
});

test.each([
  ["\u001b[31mred\u001b[0m", "red"],
  ["\u009b31mred", "red"],
  ["\u001b]0;title\u0007text", "text"],
  ["\u001b]8;;http://evil\u001b\\link", "link"],
])("of terminal output %j the text is left", (output, text) => {
  expect(unstyled(output)).toBe(text);
});

test("oneLine cuts, and has no line ends", () => {
  expect(oneLine("a\n b\t c", 100)).toBe("a b c");
  expect(oneLine("x".repeat(300)).length).toBe(200);
});

describe("decoded", () => {
  test.each([
    ["&lt;b&gt; &amp;amp;", "<b> &amp;"],
    ["&#x202e;a&#8203;b&#0;&#27;", "\ufffda\ufffdb\ufffd\ufffd"],
    ["&#xd800; &#x110000;", "\ufffd \ufffd"],
    ["&#128512; &eacute;", "😀 &eacute;"],
  ])("reads %j by the same rule", (text, shown) => {
    expect(decoded(text)).toBe(shown);
  });
});
