/** What a person has filled in for a new session, and the request that it makes. */
import type { SessionItem, Strategy } from "../wire/types.ts";
import { hostAsked, isHost } from "./hosts.ts";

export type Draft = {
  readonly prompt: string;
  readonly directory: string;
  /** Null until the person chooses: then a worktree where the directory is in a git repository. */
  readonly strategy: Strategy | null;
  readonly branch: string;
  readonly baseRef: string;
  readonly title: string;
  readonly agent: string;
  /** `provider/model`. */
  readonly model: string;
  readonly parent: string;
  readonly usd: string;
  readonly minutes: string;
  readonly tags: string;
  /** A name, or labels such as `gpu=true`. */
  readonly host: string;
  readonly cpus: string;
  readonly memoryMb: string;
  /** Whether it is resumed on another host when its host is lost. */
  readonly resumesElsewhere: boolean;
};

export const EMPTY: Draft = {
  prompt: "",
  directory: "",
  strategy: null,
  branch: "",
  baseRef: "",
  title: "",
  agent: "",
  model: "",
  parent: "",
  usd: "",
  minutes: "",
  tags: "",
  host: "",
  cpus: "",
  memoryMb: "",
  resumesElsewhere: false,
};

export const STRATEGIES: readonly {
  readonly value: Strategy;
  readonly name: string;
  readonly sentence: string;
  readonly needsGit: boolean;
}[] = [
  {
    value: "worktree",
    name: "Worktree",
    sentence:
      "A git worktree and a branch of its own. Recommended: sessions do not get in each other's way, and it is there at once.",
    needsGit: true,
  },
  {
    value: "existing",
    name: "This directory",
    sentence: "Work in the directory as it is, on the branch that is checked out. Other sessions may share it.",
    needsGit: false,
  },
  {
    value: "clone",
    name: "Clone",
    sentence: "A full copy of the repository, completely independent. It takes longer and more disk.",
    needsGit: true,
  },
];

/** Return the strategy that will be used; `isGit` null: it is not known yet. */
export function strategyOf(draft: Draft, isGit: boolean | null): Strategy {
  if (isGit === false) return "existing";
  return draft.strategy ?? "worktree";
}

const MORE = ["title", "agent", "model", "parent", "usd", "minutes", "tags", "host", "cpus", "memoryMb"] as const;

/** Whether a field under "More" is filled in, so that it has to be visible. */
export function hasMore(draft: Draft): boolean {
  return draft.resumesElsewhere || MORE.some(name => draft[name] !== "");
}

/** Return the errors by field; none if the form is complete. */
export function faults(draft: Draft): Readonly<Partial<Record<keyof Draft, string>>> {
  const found: Partial<Record<keyof Draft, string>> = {};
  if (draft.directory.trim() === "") found.directory = "Choose the directory in which the session works.";
  else if (!draft.directory.startsWith("/")) found.directory = "The path has to begin with /.";
  if (draft.usd !== "" && !(Number(draft.usd) >= 0)) found.usd = `"${draft.usd}" is not a number.`;
  if (draft.minutes !== "" && !(Number(draft.minutes) >= 0)) found.minutes = `"${draft.minutes}" is not a number.`;
  if (!isHost(draft.host)) found.host = "Name one machine, or labels such as gpu=true.";
  if (draft.cpus !== "" && !(Number(draft.cpus) >= 0)) found.cpus = `"${draft.cpus}" is not a number.`;
  if (draft.memoryMb !== "" && !/^\d+$/.test(draft.memoryMb.trim())) {
    found.memoryMb = `"${draft.memoryMb}" is not a number of MiB.`;
  }
  if (draft.model !== "" && !draft.model.includes("/")) found.model = "Name a model as provider/model.";
  return found;
}

/** Return the body of `POST /api/sessions`. */
export function bodyOf(draft: Draft, isGit: boolean | null): Readonly<Record<string, unknown>> {
  const strategy = strategyOf(draft, isGit);
  const slash = draft.model.indexOf("/");
  const budget = {
    ...(draft.usd === "" ? {} : { usd: Number(draft.usd) }),
    ...(draft.minutes === "" ? {} : { minutes: Number(draft.minutes) }),
  };
  const host = hostAsked(draft.host);
  const tags = draft.tags.split(/[\s,]+/).filter(Boolean);
  return {
    directory: draft.directory.trim(),
    isolationStrategy: strategy,
    ...text("title", draft.title),
    ...text("initialPrompt", draft.prompt),
    ...(strategy === "existing" ? {} : { ...text("branch", draft.branch), ...text("baseRef", draft.baseRef) }),
    ...text("agent", draft.agent),
    ...(slash < 0 ? {} : { model: { providerID: draft.model.slice(0, slash), modelID: draft.model.slice(slash + 1) } }),
    ...(draft.parent === "" ? {} : { onComplete: { notifySessionId: draft.parent } }),
    ...(Object.keys(budget).length === 0 ? {} : { budget }),
    ...(tags.length === 0 ? {} : { tags }),
    ...(host === null ? {} : { host }),
    ...(draft.cpus === "" ? {} : { cpus: Number(draft.cpus) }),
    ...(draft.memoryMb === "" ? {} : { memoryMb: Number(draft.memoryMb) }),
    ...(draft.resumesElsewhere ? { onHostLoss: "resume" } : {}),
  };
}

function text(name: string, value: string): Readonly<Record<string, string>> {
  const trimmed = value.trim();
  return trimmed === "" ? {} : { [name]: trimmed };
}

const RECENT_MAX = 8;

/** Return the directories in which sessions worked, those of the newest sessions first. */
export function recentDirectories(sessions: Iterable<SessionItem>): readonly string[] {
  const newest = new Map<string, string>();
  for (const each of sessions) {
    const place = each.sourceDirectory || each.directory;
    if ((newest.get(place) ?? "") < each.createdAt) newest.set(place, each.createdAt);
  }
  return [...newest.entries()]
    .sort(([, one], [, other]) => other.localeCompare(one))
    .slice(0, RECENT_MAX)
    .map(([place]) => place);
}
