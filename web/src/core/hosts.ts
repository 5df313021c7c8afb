/** The hosts: how the page shows them, which of them have a problem, and what a session asks of its host. */
import type { EngineItem, HostItem } from "../wire/api.ts";
import type { SessionItem } from "../wire/types.ts";
import { bytes, counted, oneLine } from "./text.ts";

/** The server's own machine. */
export const LOCAL = "local";

export type HostLook = {
  readonly shape: string;
  readonly word: string;
  readonly tone: "working" | "needs" | "error" | "done" | "away";
};

const LOOKS: Readonly<Record<HostItem["status"], HostLook>> = {
  up: { shape: "●", word: "up", tone: "working" },
  draining: { shape: "◐", word: "draining", tone: "done" },
  silent: { shape: "⊘", word: "does not answer", tone: "needs" },
  lost: { shape: "✕", word: "lost", tone: "error" },
};

export function lookOfHost(host: HostItem): HostLook {
  return LOOKS[host.status] ?? { shape: "?", word: host.status, tone: "away" };
}

/** Return the host of a session if it is not the server's machine. */
export function elsewhere(item: SessionItem): string | null {
  return item.host === null || item.host === LOCAL ? null : item.host;
}

export type HostTrouble = { readonly title: string; readonly detail: string; readonly hint: string };

/** Return what is wrong with the hosts, the worst first: a lost host matters as long as sessions need it. */
export function troublesOf(hosts: readonly HostItem[], engine?: EngineItem): readonly HostTrouble[] {
  const lost = hosts.filter(each => each.status === "lost" && each.sessions > 0);
  const silent = hosts.filter(each => each.status === "silent");
  const down = engine === undefined || engine.answers ? [] : [engineTrouble(engine)];
  return [...down, ...lost.map(lostTrouble), ...silent.map(silentTrouble)];
}

function engineTrouble(engine: EngineItem): HostTrouble {
  return {
    title: "The engine of the hosts does not answer",
    detail: `${oneLine(engine.evidence)}. Sessions continue; no session is placed on another host.`,
    hint: "Look at Ray's head on its machine.",
  };
}

function lostTrouble(host: HostItem): HostTrouble {
  return {
    title: `The host ${oneLine(host.name, 80)} is lost`,
    detail: `${oneLine(host.evidence)}. No process runs there any more; ${counted(host.sessions, "session")} worked there.`,
    hint: "Resume a session to continue it on another host, from the files of its last turn.",
  };
}

function silentTrouble(host: HostItem): HostTrouble {
  return {
    title: `The host ${oneLine(host.name, 80)} does not answer`,
    detail: `${oneLine(host.evidence)}. ${counted(host.sessions, "session")} may still work there.`,
    hint: "Look at the machine, its network and its agent. The sessions continue by themselves when it answers again.",
  };
}

/** Return the free and the total memory, as far as they are known. */
export function memoryOf(host: HostItem): string {
  if (host.memoryBytes === null) return "–";
  return host.memoryFreeBytes === null
    ? bytes(host.memoryBytes)
    : `${bytes(host.memoryFreeBytes)} free of ${bytes(host.memoryBytes)}`;
}

/** Return the labels as they are typed. */
export function labelsOf(labels: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(labels).map(([name, value]) => `${name}=${value}`);
}

const LABEL = /^([^=]+)=(.+)$/;

function wordsOf(text: string): readonly string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

/** Whether the text is one name, only labels, or nothing. */
export function isHost(text: string): boolean {
  const words = wordsOf(text);
  return words.every(word => LABEL.test(word)) || (words.length === 1 && !text.includes("="));
}

/** Return what a person wrote as a host, if `isHost`: its name, or labels such as `gpu=true zone=a`; null for nothing. */
export function hostAsked(text: string): string | Readonly<Record<string, string>> | null {
  const words = wordsOf(text);
  if (!text.includes("=")) return words[0] ?? null;
  return Object.fromEntries(words.map(word => word.match(LABEL)?.slice(1) ?? [word, ""]));
}

/** Return what a session asked of its host, in words; null if it asked for nothing. */
export function needWords(need: SessionItem["need"]): string | null {
  if (need === null) return null;
  const parts = [
    ...(need.host === null ? [] : [`the host ${need.host}`]),
    ...labelsOf(need.labels),
    ...(need.cpus === null ? [] : [counted(need.cpus, "core")]),
    ...(need.memoryMb === null ? [] : [`${need.memoryMb.toLocaleString("en-US")} MiB`]),
    ...(need.onHostLoss === "resume" ? ["to be resumed elsewhere when its host is lost"] : []),
  ];
  return parts.map(part => oneLine(part)).join(", ");
}

/** Return where the newer work of a workspace is that came back from its former host. */
export function returnedWords({ host, ref }: SessionItem["returned"][number]): string {
  return `newer work came back from ${oneLine(host, 80)}: ${oneLine(ref)}`;
}
