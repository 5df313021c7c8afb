/** What a tool call is about, on one line: its name, its subject, and its result. */
import { list, number, record, type Todo, type ToolPart, text, todosOf } from "../wire/opencode.ts";
import { counted } from "./text.ts";

export type ToolKind = "bash" | "change" | "read" | "search" | "todo" | "task" | "web" | "question" | "other";

const KINDS: Readonly<Record<string, ToolKind>> = {
  bash: "bash",
  edit: "change",
  multiedit: "change",
  write: "change",
  patch: "change",
  apply_patch: "change",
  read: "read",
  list: "read",
  glob: "search",
  grep: "search",
  codesearch: "search",
  lsp: "search",
  todowrite: "todo",
  todoread: "todo",
  task: "task",
  webfetch: "web",
  websearch: "web",
  question: "question",
};

export function kindOf(part: ToolPart): ToolKind {
  return KINDS[part.tool] ?? "other";
}

/** Return a path as it is from the session's directory. */
export function within(path: string, directory: string): string {
  if (path === directory) return ".";
  return path.startsWith(`${directory}/`) ? path.slice(directory.length + 1) : path;
}

/** Return what the call is about. */
export function subjectOf(part: ToolPart, directory: string): string {
  const { input } = part;
  switch (kindOf(part)) {
    case "bash":
      return text(input.command) || text(input.description) || part.title;
    case "change":
    case "read":
      return within(text(input.filePath) || text(input.path), directory) || part.title;
    case "search":
      return searched(part, directory);
    case "todo":
      return "";
    case "task":
      return text(input.description) || part.title;
    case "web":
      return text(input.url) || text(input.query);
    case "question":
      return text(record(list(input.questions)[0]).question);
    case "other":
      return part.title || compactJson(input);
  }
}

function searched({ input, title }: ToolPart, directory: string): string {
  const what = text(input.pattern) || text(input.query) || title;
  const where = text(input.path);
  return where === "" ? what : `${what} in ${within(where, directory)}`;
}

function compactJson(input: Readonly<Record<string, unknown>>): string {
  return Object.keys(input).length === 0 ? "" : JSON.stringify(input);
}

/** Return the result: an exit code, the number of matches. Empty if there is nothing unusual. */
export function resultOf(part: ToolPart): string {
  const { metadata } = part;
  switch (kindOf(part)) {
    case "bash": {
      const code = exitOf(part);
      return code === null || code === 0 ? "" : `exit ${code}`;
    }
    case "search": {
      const found = number(metadata.matches) ?? number(metadata.count);
      return found === null ? "" : found === 0 ? "nothing found" : `${found} found`;
    }
    case "todo": {
      const todos = todosIn(part);
      return todos.length === 0
        ? ""
        : `${todos.filter(each => each.status === "completed").length} of ${todos.length} done`;
    }
    case "read": {
      const lines = number(record(metadata.display).totalLines);
      return lines === null ? "" : counted(lines, "line");
    }
    default:
      return "";
  }
}

/** The exit code of a command; null while it runs, and if it has none. */
export function exitOf(part: ToolPart): number | null {
  return number(part.metadata.exit);
}

export function todosIn(part: ToolPart): readonly Todo[] {
  return todosOf(part.input.todos ?? part.metadata.todos);
}

const SHELL_NOTES = /\n*<shell_metadata>\n?([\s\S]*?)\n?<\/shell_metadata>\s*$/;

/** The output of a command, and OpenCode's note at its end: that it was aborted, or took too long. */
export function shellOutput(part: ToolPart): { readonly text: string; readonly notes: string } {
  const found = SHELL_NOTES.exec(part.output);
  return found === null
    ? { text: part.output, notes: "" }
    : { text: part.output.slice(0, found.index), notes: (found[1] ?? "").trim() };
}

/** The conversation of the sub-agent that a task has started; null as long as it has none. */
export function conversationOf(part: ToolPart): string | null {
  return text(part.metadata.sessionId) || text(part.metadata.sessionID) || null;
}

/** What a sub-agent reported, without the envelope that OpenCode puts around it. */
export function reportOf(part: ToolPart): string {
  const found = /<task_result>\n?([\s\S]*?)\n?<\/task_result>/.exec(part.output);
  return (found?.[1] ?? part.output).trim();
}
