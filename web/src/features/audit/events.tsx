/** Events of the log, newest first, page by page. */
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { type LogQuery, searchLog } from "../../state/log.ts";
import { said } from "../../state/trouble.ts";
import { Button } from "../../ui/button.tsx";
import { Loading, ProblemCard } from "../../ui/states.tsx";
import style from "./audit.module.css";
import { EventRow } from "./event-row.tsx";

const PAGE = 50;

type EventsOptions = {
  /** The newest event to show; null for the newest event of the log. */
  readonly until: number | null;
  /** The list is read again when it changes; the old events stay visible meanwhile. */
  readonly version?: string;
};

/** Read the events that match the filters. */
export function useEvents(filters: LogQuery, { until, version }: EventsOptions) {
  const found = useInfiniteQuery({
    queryKey: ["log", filters, until, version],
    initialPageParam: until === null ? undefined : until + 1,
    queryFn: ({ pageParam, signal }) => {
      const before = pageParam === undefined ? {} : { before: pageParam };
      return searchLog({ ...filters, order: "desc", limit: PAGE, ...before }, signal);
    },
    getNextPageParam: last => last.goOn ?? undefined,
    ...(version === undefined ? {} : { placeholderData: keepPreviousData }),
    retry: false,
  });
  return { found, events: found.data?.pages.flatMap(page => page.body) ?? [] };
}

type EventListProps = ReturnType<typeof useEvents> & {
  /** The name of the list: `The log`. */
  readonly what: string;
  readonly label: string;
  readonly empty?: ReactNode;
  readonly hasSession?: boolean;
};

export function EventList({ found, events, what, label, empty, hasSession = true }: EventListProps): ReactNode {
  return (
    <>
      {found.isPending && <Loading what={what.toLowerCase()} bars={12} />}
      {found.isError && <ProblemCard trouble={said(found.error, what)} retry={() => void found.refetch()} />}
      {found.isSuccess && events.length === 0 && empty}
      <ol className={style.events} aria-label={label}>
        {events.map(event => (
          <EventRow key={event.position} event={event} hasSession={hasSession} />
        ))}
      </ol>
      {found.hasNextPage && (
        <div className={style.older}>
          <Button onClick={() => void found.fetchNextPage()} isBusy={found.isFetchingNextPage}>
            Older events
          </Button>
        </div>
      )}
    </>
  );
}
