/** The log of one session, newest first: its tab "Log". */
import { useInfiniteQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useSession } from "../../state/context.tsx";
import { searchLog } from "../../state/log.ts";
import { said } from "../../state/trouble.ts";
import { Button } from "../../ui/button.tsx";
import { Loading, ProblemCard } from "../../ui/states.tsx";
import style from "./audit.module.css";
import { EventRow } from "./event-row.tsx";

const PAGE = 50;

export function SessionLog(props: { readonly id: string; readonly at?: number | null }): ReactNode {
  // The item changes with each event that matters: then the newest page is read again.
  const changed = useSession(props.id)?.updatedAt ?? "";
  const until = props.at ?? null;
  const found = useInfiniteQuery({
    queryKey: ["session-log", props.id, until, changed],
    initialPageParam: until === null ? undefined : until + 1,
    queryFn: ({ pageParam, signal }) => {
      const before = pageParam === undefined ? {} : { before: pageParam };
      return searchLog({ session: props.id, order: "desc", limit: PAGE, ...before }, signal);
    },
    getNextPageParam: last => last.goOn ?? undefined,
    placeholderData: previous => previous,
    retry: false,
  });
  const events = found.data?.pages.flatMap(page => page.body) ?? [];
  return (
    <div className={style.panel}>
      {found.isPending && <Loading what="the session's log" bars={10} />}
      {found.isError && (
        <ProblemCard trouble={said(found.error, "The session's log")} retry={() => void found.refetch()} />
      )}
      <ol className={style.events} aria-label="Events of the session, newest first">
        {events.map(event => (
          <EventRow key={event.position} event={event} hasSession={false} />
        ))}
      </ol>
      {found.hasNextPage && (
        <div className={style.older}>
          <Button onClick={() => void found.fetchNextPage()} isBusy={found.isFetchingNextPage}>
            Older events
          </Button>
        </div>
      )}
    </div>
  );
}
