/** A prompt of a person or of another session: it begins a turn, or steers a running one. */
import { type ReactNode, useMemo } from "react";
import { firstLines } from "../../../core/ansi.ts";
import { saidIn } from "../../../core/rows.ts";
import { oneLine, plain } from "../../../core/text.ts";
import { useCell, useKey } from "../../../state/store.ts";
import { Button } from "../../../ui/button.tsx";
import { useOpen } from "../open.tsx";
import { useTurn } from "../turns.tsx";
import { Attachment } from "./attachment.tsx";
import { useOpened } from "./opened.ts";
import style from "./rows.module.css";
import { When, who } from "./who.tsx";

const LINES_SHOWN = 12;

export function Prompt({
  messageId,
  turn: number,
}: {
  readonly messageId: string;
  readonly turn: number | null;
}): ReactNode {
  const { transcript } = useOpen();
  const info = useKey(transcript.infos, messageId);
  useCell(transcript.shape);
  const parts = transcript.fold.parts(messageId);
  const turn = useTurn(number);
  const text = saidIn(parts) || turn?.prompt || "";
  const files = parts.flatMap(part => (part.kind === "file" ? [part] : []));
  const atMs = info?.createdMs ?? 0;
  const label = number === null ? (transcript.which.isOwn ? "into the turn" : "Task") : `Turn ${number}`;
  const Heading = number === null ? "div" : "h2";
  return (
    <article className={style.prompt} aria-label={label}>
      <header className={style.promptHead}>
        <Heading className={style.promptTitle}>
          {label}
          <span className="visually-hidden">: {oneLine(text, 80)}</span>
        </Heading>
        <span className={style.muted}>{turn ? who(turn.actor) : ""}</span>
        {atMs > 0 && <When ms={atMs} />}
      </header>
      <PromptText text={text} cardKey={messageId} />
      {files.length > 0 && (
        <div className={style.files}>
          {files.map(file => (
            <Attachment key={file.id} part={file} />
          ))}
        </div>
      )}
    </article>
  );
}

function PromptText({ text, cardKey }: { readonly text: string; readonly cardKey: string }): ReactNode {
  const [isWhole, toggle] = useOpened(cardKey, false);
  const first = useMemo(() => firstLines(text, LINES_SHOWN), [text]);
  return (
    <>
      <div className={style.promptText}>{plain(isWhole ? text : first.text)}</div>
      {first.hidden > 0 && (
        <Button size="small" kind="quiet" onClick={toggle}>
          {isWhole ? "Show less" : `Show ${first.hidden} more lines`}
        </Button>
      )}
    </>
  );
}
