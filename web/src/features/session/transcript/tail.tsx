/** The end of a transcript: open requests, messages of the provider, and current work. */
import type { ReactNode } from "react";
import { duration, plain } from "../../../core/text.ts";
import { useNow } from "../../../state/clock.ts";
import { useCell } from "../../../state/store.ts";
import { Empty } from "../../../ui/states.tsx";
import { OpenRequests } from "../../../widgets/open-requests.tsx";
import { record, text } from "../../../wire/opencode.ts";
import { useOpen } from "../open.tsx";
import style from "./list.module.css";

export function Tail({ isEmpty }: { readonly isEmpty: boolean }): ReactNode {
  const { item, transcript, at } = useOpen();
  const isOwn = transcript.which.isOwn;
  return (
    <div className={style.tail}>
      {isEmpty && item.status !== "active" && item.queued === 0 && (
        <Empty>Nothing was said yet. Write the first prompt below.</Empty>
      )}
      {at === null && <RetryNote />}
      {at === null && <Requests />}
      {at === null && isOwn && <Working />}
      {isOwn && item.failure !== null && item.status === "error" && item.lastTurn?.outcome !== "error" && (
        <p role="alert" className={style.retry}>
          {plain(item.failure.detail)} ({item.failure.code})
        </p>
      )}
    </div>
  );
}

function RetryNote(): ReactNode {
  const { transcript } = useOpen();
  const retry = useCell(transcript.retry);
  if (retry === null) return null;
  return (
    <p className={style.retry}>
      The provider says: {plain(retry.message) || "nothing"}. OpenCode tries again (attempt {retry.attempt}).
    </p>
  );
}

function Requests(): ReactNode {
  const { item, transcript } = useOpen();
  const { isOwn, conversation } = transcript.which;
  return (
    <OpenRequests
      sessionId={item.id}
      className={style.request}
      // A sub-agent's requests are its session's, which names whose they are.
      isShown={({ request }) => isOwn || text(record(request).sessionID) === conversation}
    />
  );
}

function Working(): ReactNode {
  const { item } = useOpen();
  if (item.status === "created") return <p className={style.note}>◌ {plain(item.evidence)}</p>;
  if (item.status !== "active" || item.lastTurn === null) return null;
  return (
    <p className={style.working}>
      <span aria-hidden>◉</span> working <Since ms={Date.parse(item.lastTurn.startedAt)} />
    </p>
  );
}

function Since({ ms }: { readonly ms: number }): ReactNode {
  return <span>{duration(Math.max(0, useNow() - ms))}</span>;
}
