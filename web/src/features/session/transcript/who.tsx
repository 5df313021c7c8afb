/** Who did it, and when. */
import type { ReactNode } from "react";
import { moment, shortMoment } from "../../../core/times.ts";

/** Return an actor of the log, as people call it. */
export function who(actor: string): string {
  const [kind, name = ""] = split(actor);
  switch (kind) {
    case "local":
      return "you";
    case "system":
      return "Fleet";
    case "token":
      return name;
    case "session":
      return "another session";
    case "instance":
      return "the agent";
    default:
      return actor;
  }
}

function split(actor: string): readonly [string, string?] {
  const at = actor.indexOf(":");
  return at < 0 ? [actor] : [actor.slice(0, at), actor.slice(at + 1)];
}

export function When({ ms }: { readonly ms: number }): ReactNode {
  return (
    <time dateTime={new Date(ms).toISOString()} title={moment(ms)}>
      {shortMoment(ms, Date.now())}
    </time>
  );
}
