/** What is said: the transcript, and below it what waits and the box for the next prompt. */
import type { ReactNode } from "react";
import { Composer } from "./composer/composer.tsx";
import { Queue } from "./composer/queue.tsx";
import { EndedBar } from "./ended-bar.tsx";
import { useOpen } from "./open.tsx";
import { SetupStep } from "./setup.tsx";
import { TranscriptList } from "./transcript/list.tsx";
import { useTarget } from "./transcript/target.ts";

export function Talk(): ReactNode {
  const { at } = useOpen();
  return (
    <>
      <SetupStep />
      <TranscriptList target={useTarget()} />
      {at === null && <Queue />}
      <EndedBar />
      {at === null && <Composer />}
    </>
  );
}
