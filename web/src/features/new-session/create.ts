/**
 * Creates a session in the background: the dialog closes at once, the list shows the row as `created`, and the
 * dialog opens again with its content if the server refuses.
 */
import { bodyOf, type Draft, EMPTY } from "../../core/new-session.ts";
import { oneLine } from "../../core/text.ts";
import { Refused } from "../../state/commands.ts";
import type { Hub } from "../../state/hub.ts";
import { Cell } from "../../state/store.ts";
import { line, type Said, said } from "../../state/trouble.ts";
import { say, sayError } from "../../ui/toast.tsx";

/** The content of the form; it outlives the dialog, so that closing it loses nothing. */
export const draft = new Cell<Draft>(EMPTY, null);

/** Why the last attempt was refused. */
export const refusal = new Cell<(Said & { readonly field?: string | undefined }) | null>(null, null);

type Created = { readonly session: { readonly id: string } };

/** Send it. `opened` is called with the id when the session can take prompts, `reopen` if the server refuses. */
export async function create(
  hub: Hub,
  filled: Draft,
  isGit: boolean | null,
  opened: (id: string) => void,
  reopen: () => void,
): Promise<void> {
  refusal.set(null);
  draft.set(EMPTY);
  const unsay = say(`Creating ${name(filled)}`);
  try {
    const { body } = await hub.commands.run<Created>("POST", "/api/sessions", bodyOf(filled, isGit));
    opened(body.session.id);
  } catch (error) {
    const failed = sessionOf(error);
    if (failed !== null) {
      // The session exists, in `error`: resume it or delete it, instead of creating another one.
      sayError(`${name(filled)} could not start`, line(error));
      opened(failed);
      return;
    }
    if (draft.get() === EMPTY) {
      draft.set(filled);
      refusal.set({ ...said(error), field: error instanceof Refused ? error.problem.field : undefined });
      reopen();
    } else {
      sayError(`${name(filled)} was not created`, line(error));
    }
  } finally {
    unsay();
  }
}

function sessionOf(error: unknown): string | null {
  const id = error instanceof Refused ? error.problem.sessionId : null;
  return typeof id === "string" ? id : null;
}

function name(filled: Draft): string {
  const [first = ""] = filled.prompt.trim().split("\n", 1);
  return `"${oneLine(filled.title || first || "a session", 60)}"`;
}
