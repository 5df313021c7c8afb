/** The transcript: its visible rows, the open requests at its end, and the button to the newest. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown } from "lucide-react";
import { type ReactNode, useCallback, useEffect, useLayoutEffect, useMemo, useRef } from "react";
import { heightOf } from "../../../core/heights.ts";
import { type Row, rowsOf } from "../../../core/rows.ts";
import { useCell } from "../../../state/store.ts";
import type { OpenTranscript } from "../../../state/transcripts.ts";
import { Button } from "../../../ui/button.tsx";
import { Loading, ProblemCard } from "../../../ui/states.tsx";
import { useOpen } from "../open.tsx";
import { useTurns } from "../turns.tsx";
import { Announcer } from "./announcer.tsx";
import { type Follow, useFollow } from "./follow.ts";
import style from "./list.module.css";
import { TranscriptRow } from "./row.tsx";
import { Tail } from "./tail.tsx";
import { type Target, useForgetTarget } from "./target.ts";

const OVERSCAN = 12;
/** The distance from the edge at which the next page is fetched, in rows. */
const NEAR_EDGE = 8;
/** Room above the first row, for the note that there are earlier messages. */
const TOP_PX = 36;

/** Fetch the next page when the reader comes near to an edge. */
function useEdges(transcript: OpenTranscript, first: number, last: number, count: number): void {
  const loading = useCell(transcript.loading);
  const isLoaded = useCell(transcript.isLoaded);
  const problem = useCell(transcript.problem);
  useEffect(() => {
    if (!isLoaded || loading !== null || problem !== null) return;
    if (first < NEAR_EDGE && transcript.fold.before !== null) void transcript.loadBefore();
    else if (last > count - NEAR_EDGE && transcript.fold.after !== null) void transcript.loadAfter();
  }, [transcript, first, last, count, loading, isLoaded, problem]);
}

export function TranscriptList({ target }: { readonly target: Target | null }): ReactNode {
  const { transcript } = useOpen();
  const isLoaded = useCell(transcript.isLoaded);
  const problem = useCell(transcript.problem);
  if (problem !== null && !isLoaded) {
    return (
      <div className={style.frame}>
        <ProblemCard trouble={problem} retry={() => void transcript.loadTail()} />
      </div>
    );
  }
  if (!isLoaded) return <Loading what="the transcript" bars={8} />;
  return <Rows target={target} />;
}

function Rows({ target }: { readonly target: Target | null }): ReactNode {
  const { transcript } = useOpen();
  const turns = useTurns();
  const shape = useCell(transcript.shape);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the shape says that the transcript has other rows
  const rows = useMemo(() => rowsOf(transcript.fold, turns), [transcript, turns, shape]);
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const follow = useFollow(scroller, content, transcript.fold.after === null);
  transcript.isAtEnd = follow.isFollowing;

  const getItemKey = useCallback((index: number) => rows[index]?.key ?? index, [rows]);
  const estimateSize = useCallback((index: number) => heightOf(rows[index], transcript.fold), [rows, transcript]);
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize,
    getItemKey,
    overscan: OVERSCAN,
    paddingStart: TOP_PX,
    anchorTo: "end",
    // Only useFollow keeps the end visible. Here, rows that are added above do not move what is visible.
    followOnAppend: false,
    scrollEndThreshold: -1,
    initialOffset: Number.MAX_SAFE_INTEGER,
    useFlushSync: false,
  });
  const items = virtualizer.getVirtualItems();
  useEdges(transcript, items[0]?.index ?? 0, items.at(-1)?.index ?? 0, rows.length);
  useJump(target, rows, transcript, follow, index => virtualizer.scrollToIndex(index, { align: "start" }));

  const { isFollowing, toEnd } = follow;
  // biome-ignore lint/correctness/useExhaustiveDependencies: new rows are what it follows
  useLayoutEffect(() => {
    if (isFollowing) toEnd();
  }, [rows, isFollowing, toEnd]);

  return (
    <div className={style.frame}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <div ref={scroller} className={style.scroller} role="log" aria-live="off" aria-label="Transcript" tabIndex={0}>
        <div ref={content} className={style.content}>
          <Beginning />
          <div className={style.sizer} style={{ height: virtualizer.getTotalSize() }}>
            {items.map(item => {
              const row = rows[item.index];
              return (
                <div
                  key={item.key}
                  ref={virtualizer.measureElement}
                  data-index={item.index}
                  data-row={item.key}
                  className={style.row}
                  style={{ transform: `translateY(${item.start}px)` }}
                >
                  {row && <TranscriptRow row={row} />}
                </div>
              );
            })}
          </div>
          <Tail isEmpty={rows.length === 0} />
        </div>
      </div>
      {!isFollowing && <Latest toEnd={toEnd} />}
      <Announcer />
    </div>
  );
}

/** Scroll to the message that the address names. */
function useJump(
  target: Target | null,
  rows: readonly Row[],
  transcript: OpenTranscript,
  follow: Follow,
  scrollTo: (index: number) => void,
): void {
  const reached = useRef<unknown>(null);
  const index =
    target === null ? -1 : rows.findIndex(row => row.kind === "prompt" && row.messageId === target.messageId);
  const { stop } = follow;
  useEffect(() => {
    if (target === null || reached.current === target.nonce) return;
    stop();
    if (index < 0) {
      if (transcript.loading.get() === null) void transcript.loadAround(target.messageId);
      return;
    }
    reached.current = target.nonce;
    scrollTo(index);
  }, [target, index, transcript, stop, scrollTo]);
}

function Beginning(): ReactNode {
  const { transcript } = useOpen();
  const loading = useCell(transcript.loading);
  const problem = useCell(transcript.problem);
  if (problem === null && transcript.fold.before === null) return null;
  return (
    <div className={style.beginning}>
      {problem === null ? (
        <p className={style.earlier} role="status">
          {loading === "before" ? "Fetching what was said before" : "Earlier messages"}
        </p>
      ) : (
        <ProblemCard trouble={problem} retry={() => void transcript.loadBefore()} />
      )}
    </div>
  );
}

function Latest({ toEnd }: { readonly toEnd: () => void }): ReactNode {
  const { transcript } = useOpen();
  const forget = useForgetTarget();
  return (
    <Button
      className={style.latest}
      onClick={() => {
        forget();
        if (transcript.fold.after !== null) void transcript.loadTail().then(toEnd);
        else toEnd();
      }}
    >
      <ArrowDown size={14} aria-hidden /> latest
    </Button>
  );
}
