/** Hosts: what is said of them at once, what a person asks for, and how the list is filtered and grouped by them. */
import { describe, expect, it } from "vitest";
import { matches, parseFilter } from "../src/core/filter.ts";
import { Arrangement } from "../src/core/groups.ts";
import { elsewhere, hostAsked, needWords, troublesOf } from "../src/core/hosts.ts";
import { bodyOf, EMPTY, faults, hasMore } from "../src/core/new-session.ts";
import type { HostItem } from "../src/wire/api.ts";
import { NOW, session } from "./sessions.ts";

function host(name: string, fields: Partial<HostItem> = {}): HostItem {
  return {
    name,
    status: "up",
    statusSince: new Date(NOW).toISOString(),
    evidence: "",
    draining: false,
    cores: 8,
    memoryBytes: 16 * 2 ** 30,
    memoryFreeBytes: 9 * 2 ** 30,
    diskFreeBytes: 2 ** 40,
    processes: 0,
    sessions: 0,
    version: "1.0",
    opencodeVersion: null,
    gitVersion: null,
    pythonVersion: null,
    engineVersion: null,
    labels: {},
    epoch: null,
    address: null,
    ...fields,
  };
}

describe("what a person must know of hosts", () => {
  it("names lost hosts that sessions need, then silent ones, with what to do", () => {
    const troubles = troublesOf([
      host("up"),
      host("quiet", { status: "silent", evidence: "no answer for 10 s", sessions: 2 }),
      host("gone", { status: "lost", evidence: "no answer for 135 s", sessions: 1 }),
      host("empty", { status: "lost" }),
    ]);
    expect(troubles.map(each => each.title)).toEqual(["The host gone is lost", "The host quiet does not answer"]);
    expect(troubles[1]?.detail).toBe("no answer for 10 s. 2 sessions may still work there.");
    expect(troubles.every(each => each.hint !== "")).toBe(true);
  });

  it("begins with the engine, without which no session is placed", () => {
    const engine = { answers: false, since: new Date(NOW).toISOString(), evidence: "its process has ended" };
    expect(troublesOf([host("up")], engine)[0]?.detail).toContain("its process has ended");
    expect(troublesOf([host("up")], { answers: true, since: null, evidence: "" })).toEqual([]);
  });

  it("says where a session works only if that is not the server's machine", () => {
    expect([null, "local", "node1"].map(each => elsewhere(session("a", { host: each })))).toEqual([
      null,
      null,
      "node1",
    ]);
  });

  it("says what a session asked for", () => {
    const need = { host: null, labels: { gpu: "true" }, cpus: 2, memoryMb: 4096, onHostLoss: "resume" } as const;
    expect(needWords(need)).toBe("gpu=true, 2 cores, 4,096 MiB, to be resumed elsewhere when its host is lost");
    expect(needWords(null)).toBeNull();
  });
});

describe("what a person asks for", () => {
  it.each([
    ["", null],
    [" node1 ", "node1"],
    ["gpu=true, zone=a", { gpu: "true", zone: "a" }],
  ])("reads %j", (text, asked) => expect(hostAsked(text)).toEqual(asked));

  it("goes into the request", () => {
    const draft = { ...EMPTY, directory: "/work/shop", host: "gpu=true", cpus: "1.5", memoryMb: "2048" };
    const body = bodyOf({ ...draft, resumesElsewhere: true }, true);
    expect(body).toMatchObject({ host: { gpu: "true" }, cpus: 1.5, memoryMb: 2048, onHostLoss: "resume" });
    expect(bodyOf({ ...EMPTY, directory: "/work/shop" }, true)).not.toHaveProperty("host");
    expect(Object.keys(faults({ ...draft, cpus: "many", memoryMb: "1 GB" }))).toEqual(["cpus", "memoryMb"]);
  });

  it.each(["node1 gpu=true", "node1 node2", "gpu=", "=true"])("refuses %j before it is sent", host => {
    expect(Object.keys(faults({ ...EMPTY, directory: "/work/shop", host }))).toEqual(["host"]);
  });

  it.each([{ host: "node1" }, { cpus: "2" }, { memoryMb: "512" }, { resumesElsewhere: true }])(
    "is visible when the dialog opens again with %j",
    filled => expect([hasMore(EMPTY), hasMore({ ...EMPTY, ...filled })]).toEqual([false, true]),
  );
});

it("filters and groups by host", () => {
  const items = [session("a", { host: "node1" }), session("b", { host: "local" }), session("c", { host: null })];
  expect(items.filter(each => matches(parseFilter("host:node"), each)).map(each => each.id)).toEqual(["a"]);
  const groups = new Arrangement({ filter: parseFilter(""), group: "host", sort: "title" }).update(items, NOW);
  expect(groups.map(each => each.title)).toEqual(["local, the server's machine", "node1", "No host yet"]);
});
