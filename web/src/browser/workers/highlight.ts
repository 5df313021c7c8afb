/** A worker that highlights code: each token becomes its text and the number of its kind. Languages are loaded one by one. */
import { createCssVariablesTheme, createHighlighterCore, type HighlighterCore, type LanguageInput } from "shiki/core";
import { createJavaScriptRegexEngine } from "shiki/engine/javascript";
import { type Answered, type Asked, type CodeLine, TOKEN_KINDS } from "../../core/code.ts";

type Loader = () => Promise<{ readonly default: LanguageInput }>;

const LOADERS: Readonly<Record<string, Loader>> = {
  bash: () => import("shiki/langs/bash.mjs"),
  c: () => import("shiki/langs/c.mjs"),
  cpp: () => import("shiki/langs/cpp.mjs"),
  csharp: () => import("shiki/langs/csharp.mjs"),
  css: () => import("shiki/langs/css.mjs"),
  dart: () => import("shiki/langs/dart.mjs"),
  diff: () => import("shiki/langs/diff.mjs"),
  docker: () => import("shiki/langs/docker.mjs"),
  elixir: () => import("shiki/langs/elixir.mjs"),
  go: () => import("shiki/langs/go.mjs"),
  graphql: () => import("shiki/langs/graphql.mjs"),
  haskell: () => import("shiki/langs/haskell.mjs"),
  html: () => import("shiki/langs/html.mjs"),
  ini: () => import("shiki/langs/ini.mjs"),
  java: () => import("shiki/langs/java.mjs"),
  javascript: () => import("shiki/langs/javascript.mjs"),
  json: () => import("shiki/langs/json.mjs"),
  jsx: () => import("shiki/langs/jsx.mjs"),
  kotlin: () => import("shiki/langs/kotlin.mjs"),
  lua: () => import("shiki/langs/lua.mjs"),
  make: () => import("shiki/langs/make.mjs"),
  markdown: () => import("shiki/langs/markdown.mjs"),
  nix: () => import("shiki/langs/nix.mjs"),
  php: () => import("shiki/langs/php.mjs"),
  python: () => import("shiki/langs/python.mjs"),
  r: () => import("shiki/langs/r.mjs"),
  ruby: () => import("shiki/langs/ruby.mjs"),
  rust: () => import("shiki/langs/rust.mjs"),
  scala: () => import("shiki/langs/scala.mjs"),
  scss: () => import("shiki/langs/scss.mjs"),
  sql: () => import("shiki/langs/sql.mjs"),
  svelte: () => import("shiki/langs/svelte.mjs"),
  swift: () => import("shiki/langs/swift.mjs"),
  terraform: () => import("shiki/langs/terraform.mjs"),
  toml: () => import("shiki/langs/toml.mjs"),
  tsx: () => import("shiki/langs/tsx.mjs"),
  typescript: () => import("shiki/langs/typescript.mjs"),
  vue: () => import("shiki/langs/vue.mjs"),
  xml: () => import("shiki/langs/xml.mjs"),
  yaml: () => import("shiki/langs/yaml.mjs"),
  zig: () => import("shiki/langs/zig.mjs"),
};

const THEME = "fleet";
const PREFIX = "--fleet-";
const KIND_BY_COLOUR = new Map<string, number>(
  TOKEN_KINDS.map((kind, index) => [`var(${PREFIX}token-${kind})`, index] as const),
);

let made: Promise<HighlighterCore> | undefined;

function highlighter(): Promise<HighlighterCore> {
  made ??= createHighlighterCore({
    themes: [createCssVariablesTheme({ name: THEME, variablePrefix: PREFIX, fontStyle: false })],
    langs: [],
    engine: createJavaScriptRegexEngine({ forgiving: true }),
  });
  return made;
}

async function read(asked: Asked): Promise<readonly CodeLine[] | null> {
  const load = LOADERS[asked.language];
  if (load === undefined) return null;
  const core = await highlighter();
  if (!core.getLoadedLanguages().includes(asked.language)) await core.loadLanguage((await load()).default);
  const lines = core.codeToTokensBase(asked.code, { lang: asked.language, theme: THEME, tokenizeTimeLimit: 500 });
  return lines.map(line => line.map(token => [token.content, KIND_BY_COLOUR.get(token.color ?? "") ?? 0] as const));
}

// One after the other: results keep the order of the requests, and only one text is in memory at a time.
let turn: Promise<void> = Promise.resolve();

self.onmessage = (event: MessageEvent<Asked>) => {
  const asked = event.data;
  turn = turn.then(async () => {
    const lines = await read(asked).catch(() => null);
    self.postMessage({ id: asked.id, lines } satisfies Answered);
  });
};
