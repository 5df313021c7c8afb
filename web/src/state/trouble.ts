/** Texts for errors: the server's own words if it has refused a request. */
import { plain } from "../core/text.ts";
import { Refused } from "./commands.ts";

export type Said = {
  readonly title: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly code?: string | undefined;
};

/** The messages of browsers for a module that they cannot load, because a new build has other names. */
const MISSING_PART = /dynamically imported module|importing a module script failed/i;

export function said(error: unknown, what = "This"): Said {
  if (error instanceof Refused) {
    // The server's words may contain text of agents: names, titles, lines of a process.
    const { title, detail, hint, code } = error.problem;
    return { title: plain(title), detail: detail && plain(detail), hint: hint && plain(hint), code };
  }
  if (error instanceof TypeError && MISSING_PART.test(error.message)) {
    return {
      title: "This page is older than the server",
      detail: `${what} needs a part that does not exist any more.`,
      hint: "Reload the page. Drafts are kept.",
    };
  }
  const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { title: `${what} cannot be shown`, detail, hint: "This is a bug of the page. The rest of the page works." };
}

/** Return a refusal as one line, for a toast. */
export function line(error: unknown): string {
  const { title, detail, hint } = said(error);
  const what = detail ?? title;
  return hint ? `${what.replace(/\.$/, "")}. ${hint}` : what;
}
