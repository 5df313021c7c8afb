import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import { Markdown } from "../src/features/session/transcript/markdown.tsx";

const shown = (text: string): string => renderToStaticMarkup(<Markdown text={text} />);

test.each([
  "javascript:alert(1)",
  "JaVaScRiPt&colon;alert(1)",
  "&#106;avascript:alert(1)",
  "\u0001javascript:alert(1)",
  "data:text/html,x",
  "vbscript:x",
  "//evil.example",
  "/api/docs",
])("a link to %j is its text", address => {
  for (const text of [`[a](${address})`, `![a](${address})`, `[a][r]\n\n[r]: ${address}`])
    expect(shown(text)).not.toMatch(/href|src=/);
});

test.each([
  "a&#x202e;b",
  "a&#8238;b",
  "![a&#x202e;b](https://x.example)",
  "[a](https://x&#x202e;y.example)",
  "# a&#x200b;b",
  "a&#27;[31mb",
])("a character that deceives is none for being written as a reference: %j", text => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
  expect(shown(text).replace(/href="[^"]*"/g, "")).not.toMatch(/[\u202e\u200b\u001b]/);
});
