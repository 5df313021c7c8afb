/** Highlighted code: the requests to the worker, its results, and the language of a file. */

/** The kinds of tokens, as the style sheet names them. */
export const TOKEN_KINDS = [
  "plain",
  "constant",
  "string",
  "comment",
  "keyword",
  "parameter",
  "function",
  "string-expression",
  "punctuation",
  "link",
] as const;

/** A token: its text, and the index of its kind in `TOKEN_KINDS`. */
export type Token = readonly [text: string, kind: number];
export type CodeLine = readonly Token[];

export type Asked = { readonly id: number; readonly code: string; readonly language: string };
/** `lines` is null if the language is not known, or the code could not be read. */
export type Answered = { readonly id: number; readonly lines: readonly CodeLine[] | null };

/** Longer code is shown plain: reading it would take seconds. */
export const HIGHLIGHT_CHARS_MAX = 200_000;

const LANGUAGES: Readonly<Record<string, string>> = {
  bash: "bash sh zsh shell shellscript console ksh",
  c: "c h",
  cpp: "cpp cc cxx hpp hh c++",
  csharp: "csharp cs c#",
  css: "css",
  dart: "dart",
  diff: "diff patch",
  docker: "docker dockerfile",
  elixir: "elixir ex exs",
  go: "go golang",
  graphql: "graphql gql",
  haskell: "haskell hs",
  html: "html htm svg",
  ini: "ini cfg conf properties",
  java: "java",
  javascript: "javascript js mjs cjs",
  json: "json jsonc json5 jsonl webmanifest",
  jsx: "jsx",
  kotlin: "kotlin kt kts",
  lua: "lua",
  make: "make makefile mk",
  markdown: "markdown md mdx",
  nix: "nix",
  php: "php",
  python: "python py pyi",
  r: "r",
  ruby: "ruby rb",
  rust: "rust rs",
  scala: "scala",
  scss: "scss sass",
  sql: "sql",
  svelte: "svelte",
  swift: "swift",
  terraform: "terraform tf hcl",
  toml: "toml",
  tsx: "tsx",
  typescript: "typescript ts mts cts",
  vue: "vue",
  xml: "xml xsl plist",
  yaml: "yaml yml",
  zig: "zig",
};

const BY_NAME = new Map(
  Object.entries(LANGUAGES).flatMap(([language, names]) => names.split(" ").map(name => [name, language] as const)),
);

/** Return the language that a name or a file's ending means; null for one that is not read. */
export function languageOf(name: string): string | null {
  return BY_NAME.get(name.toLowerCase()) ?? null;
}

/** Return the language of a file. */
export function languageOfFile(path: string): string | null {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return languageOf(name) ?? languageOf(name.slice(name.lastIndexOf(".") + 1));
}
