/**
 * OpenCode's own JSON as types: messages, parts, tool calls.
 *
 * Fleet passes it on unparsed, and another version of OpenCode may have other fields. So nothing here throws: a field
 * that is not as expected is empty, and a part of an unknown kind keeps its JSON, to be shown as it is.
 */

export type Json = Readonly<Record<string, unknown>>;

export type ToolStatus = "pending" | "running" | "completed" | "error";

type PartBase = {
  readonly id: string;
  readonly messageId: string;
  /** OpenCode's session: the session's own conversation, or a sub-agent's. */
  readonly conversation: string;
  /** The server has truncated its long strings; the complete part can be read by itself. */
  readonly isCut: boolean;
};

export type TextPart = PartBase & {
  readonly kind: "text" | "reasoning";
  readonly text: string;
  /** OpenCode, not a person, wrote it, for the model. */
  readonly isSynthetic: boolean;
  readonly startMs: number | null;
  readonly endMs: number | null;
};

export type ToolPart = PartBase & {
  readonly kind: "tool";
  readonly tool: string;
  readonly callId: string;
  readonly status: ToolStatus;
  readonly input: Json;
  readonly output: string;
  readonly error: string;
  readonly title: string;
  readonly metadata: Json;
  readonly startMs: number | null;
  readonly endMs: number | null;
};

export type FilePart = PartBase & {
  readonly kind: "file";
  readonly mime: string;
  readonly name: string;
  readonly url: string;
};

export type StepPart = PartBase & { readonly kind: "step" };
export type PatchPart = PartBase & { readonly kind: "patch"; readonly files: readonly string[] };
export type CompactionPart = PartBase & { readonly kind: "compaction"; readonly isAutomatic: boolean };
export type RetryPart = PartBase & { readonly kind: "retry"; readonly attempt: number; readonly error: string };
export type UnknownPart = PartBase & { readonly kind: "unknown"; readonly type: string; readonly json: Json };

export type Part = TextPart | ToolPart | FilePart | StepPart | PatchPart | CompactionPart | RetryPart | UnknownPart;

export type MessageError = { readonly name: string; readonly message: string };

export type Info = {
  readonly id: string;
  readonly conversation: string;
  readonly role: "user" | "assistant";
  readonly createdMs: number;
  readonly completedMs: number | null;
  readonly agent: string;
  readonly model: string;
  readonly error: MessageError | null;
  /** OpenCode wrote it to shorten the conversation. */
  readonly isSummary: boolean;
};

export function record(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function number(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Return a message's info. */
export function infoOf(value: unknown): Info {
  const json = record(value);
  const time = record(json.time);
  const model = record(json.model);
  return {
    id: text(json.id),
    conversation: text(json.sessionID),
    role: json.role === "user" ? "user" : "assistant",
    createdMs: number(time.created) ?? 0,
    completedMs: number(time.completed),
    agent: text(json.agent),
    model: text(json.modelID) || text(model.modelID),
    error: errorOf(json.error),
    isSummary: json.summary === true,
  };
}

function errorOf(value: unknown): MessageError | null {
  if (typeof value !== "object" || value === null) return null;
  const json = record(value);
  const data = record(json.data);
  return { name: text(json.name) || "Error", message: text(data.message) || text(json.message) };
}

/** Return a part. */
export function partOf(value: unknown): Part {
  const json = record(value);
  const base: PartBase = {
    id: text(json.id),
    messageId: text(json.messageID),
    conversation: text(json.sessionID),
    isCut: json.truncated === true,
  };
  switch (json.type) {
    case "text":
    case "reasoning":
      return textPart(base, json.type, json);
    case "tool":
      return toolPart(base, json);
    case "file":
      return {
        ...base,
        kind: "file",
        mime: text(json.mime),
        name: text(json.filename) || text(record(json.source).path) || "file",
        url: text(json.url),
      };
    case "step-start":
    case "step-finish":
    case "snapshot":
      return { ...base, kind: "step" };
    case "patch":
      return { ...base, kind: "patch", files: list(json.files).map(text).filter(Boolean) };
    case "compaction":
      return { ...base, kind: "compaction", isAutomatic: json.auto === true };
    case "retry":
      return {
        ...base,
        kind: "retry",
        attempt: number(json.attempt) ?? 0,
        error: errorOf(json.error)?.message ?? "",
      };
    default:
      return { ...base, kind: "unknown", type: text(json.type), json };
  }
}

function textPart(base: PartBase, kind: "text" | "reasoning", json: Json): TextPart {
  const time = record(json.time);
  return {
    ...base,
    kind,
    text: text(json.text),
    isSynthetic: json.synthetic === true || json.ignored === true,
    startMs: number(time.start),
    endMs: number(time.end),
  };
}

function toolPart(base: PartBase, json: Json): ToolPart {
  const state = record(json.state);
  const time = record(state.time);
  const metadata = record(state.metadata);
  return {
    ...base,
    kind: "tool",
    tool: text(json.tool),
    callId: text(json.callID),
    status: toolStatus(state.status),
    input: record(state.input),
    // While a command runs, its output so far is in the metadata.
    output: text(state.output) || text(metadata.output),
    error: text(state.error),
    title: text(state.title),
    metadata,
    startMs: number(time.start),
    endMs: number(time.end),
  };
}

function toolStatus(value: unknown): ToolStatus {
  return value === "running" || value === "completed" || value === "error" ? value : "pending";
}

export type Todo = { readonly content: string; readonly status: string };

/** Return a list of things to do. */
export function todosOf(value: unknown): readonly Todo[] {
  return list(value).map(each => {
    const json = record(each);
    return { content: text(json.content), status: text(json.status) || "pending" };
  });
}
