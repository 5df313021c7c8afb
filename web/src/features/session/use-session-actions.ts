/** What keys and palette can do while a session is open. */
import { isInTurn } from "../../core/status.ts";
import { useActions } from "../../state/actions.ts";
import { useCommand } from "../../state/context.tsx";
import { line } from "../../state/trouble.ts";
import { say, sayError } from "../../ui/toast.tsx";
import type { Aborted } from "../../wire/api.ts";
import { useDialogs } from "./dialogs/dialogs.tsx";
import { useOpen } from "./open.tsx";
import type { Tab } from "./opened.tsx";

const SAID: Readonly<Record<string, string>> = {
  aborted: "Aborted",
  ended: "The turn had ended by itself",
  nothing_to_abort: "There was nothing to abort",
  aborting: "OpenCode still works on the turn; the abort continues",
};

/** Return the function that aborts the running turn. */
export function useAbort(): () => Promise<void> {
  const { item } = useOpen();
  const command = useCommand();
  return async () => {
    try {
      const { body } = await command<Aborted>("POST", `/api/sessions/${item.id}/abort`);
      say(SAID[body.outcome] ?? body.outcome);
    } catch (error) {
      sayError("The turn was not aborted", line(error));
    }
  };
}

export function useSessionActions(go: (tab: Tab) => void): void {
  const { item, mayWrite } = useOpen();
  const { ask } = useDialogs();
  const abort = useAbort();
  const isRunning = isInTurn(item);
  useActions([
    { id: "tab.talk", label: "Show the transcript", run: () => go("talk") },
    { id: "tab.diffs", label: "Show the diffs", run: () => go("diffs") },
    { id: "tab.files", label: "Show the files", run: () => go("files") },
    { id: "tab.log", label: "Show the session's log", run: () => go("log") },
    mayWrite && isRunning && { id: "session.abort", label: "Abort the running turn", run: () => void abort() },
    mayWrite && { id: "session.fork", label: "Fork this session", run: () => ask({ kind: "fork", turn: null }) },
    mayWrite && { id: "session.tags", label: "Change the tags of this session", run: () => ask({ kind: "tags" }) },
    mayWrite && {
      id: "session.budget",
      label: "Change the budget of this session",
      run: () => ask({ kind: "budget" }),
    },
    mayWrite && {
      id: "session.stop",
      label: "Stop this session",
      words: "terminate end",
      run: () => ask({ kind: "stop" }),
    },
    mayWrite && {
      id: "session.erase",
      label: "Erase this session",
      words: "delete for good",
      run: () => ask({ kind: "erase" }),
    },
  ]);
}
