/** Carries out a person's action, reports its result, and reads the documents again that it changed. */
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useCommand } from "../state/context.tsx";
import { line } from "../state/trouble.ts";
import { say, sayError } from "../ui/toast.tsx";
import type { Method } from "../wire/types.ts";

export type Act = {
  readonly isBusy: boolean;
  /** Do the work, then report `done`. Resolves to whether it succeeded. */
  readonly carryOut: (done: string | null, work: () => Promise<unknown>) => Promise<boolean>;
  /** Send one command, in the same way. */
  readonly act: (done: string | null, method: Method, path: string, body?: unknown) => Promise<boolean>;
};

/** `changed` is the beginning of the keys of the documents that are read again; null for none. */
export function useAct(changed: readonly unknown[] | null): Act {
  const [isBusy, setBusy] = useState(false);
  const command = useCommand();
  const queries = useQueryClient();
  async function carryOut(done: string | null, work: () => Promise<unknown>): Promise<boolean> {
    setBusy(true);
    try {
      await work();
      if (done !== null) say(done);
      return true;
    } catch (error) {
      sayError("That did not work", line(error));
      return false;
    } finally {
      setBusy(false);
      if (changed !== null) void queries.invalidateQueries({ queryKey: changed });
    }
  }
  return { isBusy, carryOut, act: (done, ...order) => carryOut(done, () => command(...order)) };
}
