/** Runs one order at a time, says how it went, and reads again what it changed. */
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useCommand } from "../../state/context.tsx";
import { line } from "../../state/trouble.ts";
import { say, sayError } from "../../ui/toast.tsx";
import type { Method } from "../../wire/types.ts";
import { useOpen } from "./open.tsx";

export type Act = {
  readonly isBusy: boolean;
  /** Carry out; `done` is said then. Resolves to whether it worked. */
  readonly act: (done: string | null, method: Method, path: string, body?: unknown) => Promise<boolean>;
};

export function useAct(): Act {
  const [isBusy, setBusy] = useState(false);
  const command = useCommand();
  const queries = useQueryClient();
  const { item } = useOpen();
  async function act(done: string | null, method: Method, path: string, body?: unknown): Promise<boolean> {
    setBusy(true);
    try {
      await command(method, path, body);
      if (done !== null) say(done);
      return true;
    } catch (error) {
      sayError("That did not work", line(error));
      return false;
    } finally {
      setBusy(false);
      void queries.invalidateQueries({ queryKey: ["session", item.id] });
    }
  }
  return { isBusy, act };
}
