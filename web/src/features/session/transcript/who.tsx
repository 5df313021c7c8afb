/** Who did it, and when. */
import type { ReactNode } from "react";

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

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const DAY_MS = 86_400_000;

export function When({ ms }: { readonly ms: number }): ReactNode {
  const at = new Date(ms);
  const isToday = Date.now() - ms < DAY_MS && at.getDate() === new Date().getDate();
  return (
    <time dateTime={at.toISOString()} title={at.toLocaleString()}>
      {(isToday ? TIME : DAY).format(at)}
    </time>
  );
}
