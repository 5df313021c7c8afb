/** Session items for tests, and chance that is the same in every run. */
import type { SessionItem, Status } from "../src/wire/types.ts";

export const NOW = Date.parse("2026-05-01T12:00:00Z");

export function session(id: string, fields: Partial<SessionItem> = {}): SessionItem {
  const at = new Date(NOW - 60_000).toISOString();
  return {
    id,
    opencodeId: `ses_${id}`,
    title: `Session ${id}`,
    status: "idle",
    statusSince: at,
    evidence: "",
    evidenceAt: at,
    instanceId: null,
    workspaceId: `w-${id}`,
    directory: "/work/shop",
    sourceDirectory: "/work/shop",
    isolationStrategy: "existing",
    branch: null,
    parentId: null,
    tags: [],
    createdAt: at,
    updatedAt: at,
    endedAt: null,
    turns: 0,
    queued: 0,
    openRequests: 0,
    tokens: { input: 0, output: 0, reasoning: 0, cacheRead: 0, cacheWrite: 0 },
    costUsd: 0,
    budget: null,
    changes: null,
    outcome: null,
    failure: null,
    agent: null,
    model: null,
    repository: null,
    contextTokens: null,
    contextLimit: null,
    runningMs: 0,
    lastTurn: null,
    rehearsal: true,
    queuePaused: null,
    activity: null,
    setup: null,
    host: "local",
    need: null,
    returned: [],
    ...fields,
  };
}

/** Return a source of numbers in [0, 1) that a seed decides (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const STATUSES: readonly Status[] = [
  "created",
  "active",
  "waiting_input",
  "idle",
  "completed",
  "stopped",
  "disconnected",
  "error",
];

/** Return a fleet of all kinds of sessions: families, tags, repositories, ended ones, even parents in a circle. */
export function fleetOf(random: () => number, count: number): SessionItem[] {
  const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)] as Value;
  const ids = Array.from({ length: count }, (_, index) => `s${String(index).padStart(4, "0")}`);
  return ids.map(id => {
    const status = pick(STATUSES);
    const ended = status === "completed" || status === "stopped";
    const past = (hours: number): string => new Date(NOW - random() * hours * 3_600_000).toISOString();
    return session(id, {
      title: pick(["Parser", "Login endpoint", "Flaky test", "Docs"]),
      status,
      statusSince: past(40),
      endedAt: ended ? past(40) : null,
      parentId: random() < 0.3 ? pick([...ids, "gone"]) : null,
      tags: random() < 0.4 ? [pick(["ui", "ui-kit", "api"]), pick(["old", "new"])] : [],
      repository: pick([null, "/work/shop", "/other/shop", "/work/core"]),
      isolationStrategy: pick(["existing", "worktree", "clone"] as const),
      branch: pick([null, "main", "fleet/parser"]),
      agent: pick([null, "build", "plan"]),
      model: pick([null, { providerID: "anthropic", modelID: "opus" }]),
      queued: pick([0, 0, 2]),
      openRequests: status === "waiting_input" ? 1 : 0,
      costUsd: random(),
      changes: pick([null, { files: 2, additions: 3, deletions: 1 }]),
    });
  });
}
