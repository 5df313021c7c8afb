/** The conversation: the transcript, and below it the waiting prompts and the box for the next one. */
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
