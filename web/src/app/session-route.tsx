/** A session with the list of the others beside it. The list and the session are features; they meet here. */
import { useParams, useSearch } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense } from "react";
import { SessionRail } from "../features/fleet/rail.tsx";
import { ConversationPage, SessionPage } from "../features/session/page.tsx";
import { Boundary } from "./errors.tsx";
import style from "./shell.module.css";

const ChangesPanel = lazy(() =>
  import("../features/changes/panel.tsx").then(module => ({ default: module.ChangesPanel })),
);

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
  const { tab, at } = useSearch({ from: "/s/$id" });
  return (
    <BesideRail id={id}>
      {tab === "diffs" ? (
        <Suspense fallback={null}>
          <ChangesPanel key={id} id={id} at={at === undefined ? null : Number(at)} />
        </Suspense>
      ) : (
        <SessionPage key={id} id={id} />
      )}
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
