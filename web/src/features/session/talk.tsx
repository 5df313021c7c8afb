/** What is said: the transcript, and below it what waits and the box for the next prompt. */
import { useSearch } from "@tanstack/react-router";
import { type ReactNode, useMemo } from "react";
import { Composer } from "./composer/composer.tsx";
import { Queue } from "./composer/queue.tsx";
import { EndedBar } from "./ended-bar.tsx";
import { useOpen } from "./open.tsx";
import { type Target, TranscriptList } from "./transcript/list.tsx";
import { useTurns } from "./turns.tsx";

/** The message that the address leads to: one by its id, or the beginning of a turn. */
function useTarget(): Target | null {
  const { message, turn } = useSearch({ from: "/s/$id" });
  const turns = useTurns();
  const messageId = message ?? (turn === undefined ? undefined : turns.byNumber.get(Number(turn))?.messageId);
  return useMemo(() => (messageId === undefined ? null : { messageId, nonce: messageId }), [messageId]);
}

export function Talk(): ReactNode {
  const { at } = useOpen();
  return (
    <>
      <TranscriptList target={useTarget()} />
      {at === null && <Queue />}
      <EndedBar />
      {at === null && <Composer />}
    </>
  );
}
