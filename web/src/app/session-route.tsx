/** A session with the list of the others beside it. The list and the session are features; they meet here. */
import { useParams } from "@tanstack/react-router";
import { lazy, type ReactNode } from "react";
import { SessionRail } from "../features/fleet/rail.tsx";
import { ConversationPage, SessionPage } from "../features/session/page.tsx";
import { part } from "../state/parts.ts";
import { Boundary } from "../widgets/boundary.tsx";
import style from "./shell.module.css";

const PANELS = {
  diffs: lazy(part(() => import("../features/changes/panel.tsx").then(module => ({ default: module.ChangesPanel })))),
  log: lazy(part(() => import("../features/audit/session-log.tsx").then(module => ({ default: module.SessionLog })))),
  time: lazy(part(() => import("../features/audit/time-bar.tsx").then(module => ({ default: module.TimeBar })))),
};

function BesideRail(props: { readonly id: string; readonly children: ReactNode }): ReactNode {
  return (
    <div className={style.split}>
      <Boundary what="The list of sessions">
        <SessionRail openId={props.id} />
      </Boundary>
      <Boundary key={props.id} what="The session">
        {props.children}
      </Boundary>
    </div>
  );
}

export function SessionRoute(): ReactNode {
  const { id } = useParams({ from: "/s/$id" });
  return (
    <BesideRail id={id}>
      <SessionPage key={id} id={id} panels={PANELS} />
    </BesideRail>
  );
}

export function ConversationRoute(): ReactNode {
  const { id, conversation } = useParams({ from: "/s/$id/a/$conversation" });
  return (
    <BesideRail id={id}>
      <ConversationPage key={`${id}/${conversation}`} id={id} conversation={conversation} />
    </BesideRail>
  );
}
