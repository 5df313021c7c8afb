/** Actions on one or many sessions: a few at a time, with progress, undo where it is possible, and the refusals. */
import { useState } from "react";
import { forEach, type Outcome } from "../../core/parallel.ts";
import { hasEnded, isInTurn } from "../../core/status.ts";
import { counted } from "../../core/text.ts";
import { useCommand, useFleet } from "../../state/context.tsx";
import { resume } from "../../state/resume.ts";
import { line } from "../../state/trouble.ts";
import { say } from "../../ui/toast.tsx";
import type { SessionItem } from "../../wire/types.ts";

/** The number of commands of one action that run at once, because the server has other clients. */
export const PARALLEL = 4;

/** The progress of an action, for the bar. */
export type Progress = { readonly words: string; readonly done: number; readonly total: number };

/** An action that some sessions refused; shown until the person closes it. */
export type Report = { readonly title: string; readonly outcomes: readonly Outcome[] };

type Act = {
  /** "Stopping" and "stopped". */
  readonly doing: string;
  readonly done: string;
  readonly ids: readonly string[];
  readonly work: (id: string) => Promise<void>;
  readonly undo?: { readonly label: string; readonly act: Act };
};

export type Bulk = {
  readonly progress: Progress | null;
  readonly report: Report | null;
  readonly closeReport: () => void;
  readonly abort: (ids: readonly string[]) => void;
  readonly stop: (ids: readonly string[]) => void;
  readonly resume: (ids: readonly string[]) => void;
  readonly remove: (ids: readonly string[], isForGood: boolean) => void;
  readonly tag: (ids: readonly string[], change: TagChange) => void;
};

export type TagChange = { readonly add: readonly string[]; readonly drop: readonly string[] };

export function canAbort(item: SessionItem): boolean {
  return isInTurn(item);
}

export function canStop(item: SessionItem): boolean {
  return !hasEnded(item.status);
}

export function path(id: string): string {
  return `/api/sessions/${id}`;
}

export function useBulk(): Bulk {
  const [progress, setProgress] = useState<Progress | null>(null);
  const [report, setReport] = useState<Report | null>(null);
  const { sessions } = useFleet().fleet;
  const command = useCommand();

  async function carryOut(act: Act): Promise<void> {
    const total = act.ids.length;
    const show = (done: number): void => setProgress({ words: act.doing, done, total });
    if (total > 1) show(0);
    const outcomes = await forEach(act.ids, PARALLEL, act.work, line, total > 1 ? show : undefined);
    setProgress(null);
    const done = outcomes.filter(each => each.refused === null).map(each => each.id);
    const { undo } = act;
    const way = undo && {
      label: undo.label,
      run: () => void carryOut({ ...undo.act, ids: undo.act.ids.filter(id => done.includes(id)) }),
    };
    if (done.length > 0) say(`${counted(done.length, "session")} ${act.done}`, way);
    if (done.length < total)
      setReport({ title: `${counted(total - done.length, "session")} not ${act.done}`, outcomes });
  }

  const those = (ids: readonly string[], test: (item: SessionItem) => boolean): readonly string[] =>
    ids.filter(id => {
      const item = sessions.get(id);
      return item !== undefined && test(item);
    });
  const resuming = (ids: readonly string[]): Act => ({
    doing: "Resuming",
    done: "resumed",
    ids,
    work: id => resume(command, id),
  });

  return {
    progress,
    report,
    closeReport: () => setReport(null),
    abort: all =>
      void carryOut({
        doing: "Aborting",
        done: "aborted",
        ids: those(all, canAbort),
        work: async id => void (await command("POST", `${path(id)}/abort`)),
      }),
    stop: all => {
      const ids = those(all, canStop);
      void carryOut({
        doing: "Stopping",
        done: "stopped",
        ids,
        work: async id => void (await command("DELETE", path(id))),
        undo: { label: "Resume", act: resuming(ids) },
      });
    },
    resume: all => void carryOut(resuming(those(all, item => hasEnded(item.status)))),
    remove: (ids, isForGood) => void carryOut(removing(ids, isForGood, sessions.get.bind(sessions), command)),
    tag: (ids, change) => void carryOut(tagging(ids, change, sessions.get.bind(sessions), command)),
  };
}

type Command = ReturnType<typeof useCommand>;
type Get = (id: string) => SessionItem | undefined;

/** Remove the workspaces, or the sessions with all that Fleet holds of them. */
function removing(ids: readonly string[], isForGood: boolean, get: Get, command: Command): Act {
  if (isForGood) {
    return {
      doing: "Erasing",
      done: "erased",
      ids,
      work: async id => void (await command("DELETE", `${path(id)}?permanent=true`)),
    };
  }
  const workspaces = new Map(ids.map(id => [id, get(id)?.workspaceId]));
  return {
    doing: "Removing",
    done: "removed",
    ids,
    work: async id => void (await command("DELETE", `${path(id)}?cleanupWorkspace=true`)),
    undo: {
      label: "Restore",
      act: {
        doing: "Restoring",
        done: "restored",
        ids: ids.filter(id => get(id)?.isolationStrategy !== "existing"),
        work: async id => void (await command("POST", `/api/workspaces/${workspaces.get(id)}/restore`)),
      },
    },
  };
}

function tagging(ids: readonly string[], change: TagChange, get: Get, command: Command): Act {
  const before = new Map(ids.map(id => [id, get(id)?.tags ?? []]));
  const after = (id: string): readonly string[] => tagged(before.get(id) ?? [], change);
  return {
    doing: "Tagging",
    done: "tagged",
    ids: ids.filter(id => after(id).join("\n") !== before.get(id)?.join("\n")),
    work: async id => void (await command("PATCH", path(id), { tags: after(id) })),
    undo: {
      label: "Undo",
      act: {
        doing: "Tagging",
        done: "tagged as before",
        ids,
        work: async id => void (await command("PATCH", path(id), { tags: before.get(id) })),
      },
    },
  };
}

/** Return the tags after a change; those that stay keep their order. */
export function tagged(tags: readonly string[], { add, drop }: TagChange): readonly string[] {
  const kept = tags.filter(tag => !drop.includes(tag));
  return [...kept, ...add.filter(tag => !kept.includes(tag))];
}
