/** The log of one session, newest first, and its evidence pack: its tab "Log". */
import { type ReactNode, useRef } from "react";
import { useSession } from "../../state/context.tsx";
import { useHold } from "../../ui/hold.ts";
import style from "./audit.module.css";
import { EventList, useEvents } from "./events.tsx";

export function SessionLog(props: { readonly id: string; readonly at?: number | null }): ReactNode {
  // The item changes with each event that matters: then the newest page is read again. It would move the rows down.
  const newest = useSession(props.id)?.updatedAt ?? "";
  const version = useRef(newest);
  const [isHeld, listeners] = useHold();
  if (!isHeld) version.current = newest;
  const events = useEvents({ session: props.id }, { until: props.at ?? null, version: version.current });
  return (
    <div className={style.panel} {...listeners}>
      <p className={style.pack}>
        <a className={style.export} href={`/api/sessions/${encodeURIComponent(props.id)}/pack`} download>
          Evidence pack
        </a>
        <span>
          Who asked for what, who allowed it, what ran and what changed: a page that proves itself without Fleet.
        </span>
      </p>
      <EventList {...events} what="The session's log" label="Events of the session, newest first" hasSession={false} />
    </div>
  );
}
