/** Permission requests and questions: OpenCode's JSON, parsed strictly. Unknown parts are shown as received. */
import { list, record, text } from "../wire/opencode.ts";
import type { InboxItem } from "../wire/types.ts";

type RequestItem = NonNullable<InboxItem["request"]>;

export type Permission = {
  readonly kind: "permission";
  readonly id: string;
  /** What is to be allowed: `bash`, `edit`, `external_directory`, … */
  readonly permission: string;
  /** What it would do: the command, the file, the pattern. */
  readonly what: string;
  /** What "always" would allow from then on. */
  readonly always: readonly string[];
  /** The patch of an edit. */
  readonly diff: string | null;
};

export type Option = { readonly label: string; readonly description: string };
export type Question = {
  readonly question: string;
  readonly header: string;
  readonly options: readonly Option[];
  readonly isMultiple: boolean;
};
export type Questions = { readonly kind: "question"; readonly id: string; readonly questions: readonly Question[] };

export type Request = Permission | Questions;

/** Return the parsed request. */
export function decodeRequest(item: RequestItem): Request {
  const body = record(item.request);
  if (item.kind === "question") {
    return { kind: "question", id: item.id, questions: list(body.questions).map(question) };
  }
  const metadata = record(body.metadata);
  const patterns = texts(body.patterns);
  return {
    kind: "permission",
    id: item.id,
    permission: text(body.permission) || "something",
    what: text(metadata.command) || text(metadata.filepath) || text(metadata.url) || patterns.join(", "),
    always: texts(body.always),
    diff: text(metadata.diff) || null,
  };
}

/** Return the words for a permission: what the agent wants to do. */
export function wants(permission: string): string {
  return WANTS[permission] ?? `use ${permission}`;
}

const WANTS: Readonly<Record<string, string>> = {
  bash: "run a command",
  edit: "edit a file",
  write: "write a file",
  read: "read a file",
  webfetch: "fetch a page",
  external_directory: "work outside of the workspace",
  doom_loop: "make the same call again and again",
};

/** Return whether every question has an answer. */
export function isAnswered(questions: readonly Question[], answers: readonly (readonly string[])[]): boolean {
  return questions.every((_, index) => (answers[index] ?? []).some(each => each.trim() !== ""));
}

function question(value: unknown): Question {
  const body = record(value);
  return {
    question: text(body.question),
    header: text(body.header),
    options: list(body.options).map(option => {
      const fields = record(option);
      return { label: text(fields.label), description: text(fields.description) };
    }),
    isMultiple: body.multiple === true,
  };
}

function texts(value: unknown): readonly string[] {
  return list(value).filter(each => typeof each === "string");
}
