/** What to say of an error of a read. */
import { Refused } from "../../state/commands.ts";
import type { Trouble } from "../../ui/states.tsx";

export function troubleOf(error: unknown): Trouble {
  if (error instanceof Refused) {
    const { title, detail, hint, code } = error.problem;
    return { title, detail, hint, code };
  }
  return { title: "This cannot be shown", detail: error instanceof Error ? error.message : String(error) };
}
