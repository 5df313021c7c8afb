/** The frame of a tool call: a line with name, subject and result, and what it folds open. */
import { ChevronDown, ChevronRight } from "lucide-react";
import { type ReactNode, useId } from "react";
import { duration, oneLine, plain, unstyled } from "../../../core/text.ts";
import { resultOf, subjectOf } from "../../../core/tools.ts";
import { useNow } from "../../../state/clock.ts";
import { cx } from "../../../ui/cx.ts";
import type { ToolPart } from "../../../wire/opencode.ts";
import { useOpen } from "../open.tsx";
import { useOpened } from "../transcript/opened.ts";
import { FilesHere } from "./files-here.tsx";
import style from "./tools.module.css";

/** No duration is shown for calls that took less. */
const NOTED_MS = 1_000;

type CardProps = {
  readonly part: ToolPart;
  /** Shown between the subject and the result. */
  readonly note?: ReactNode;
  readonly isOpenAtFirst?: boolean;
  /** There is nothing to fold open yet. */
  readonly isEmpty?: boolean;
  /** Shown at the end of the line; it does not fold. */
  readonly beside?: ReactNode;
  readonly children?: ReactNode;
};

export function Card({ part, note, isOpenAtFirst = false, isEmpty = false, beside, children }: CardProps): ReactNode {
  const { item } = useOpen();
  const [isOpen, toggle] = useOpened(part.id, isOpenAtFirst || part.status === "error");
  const id = useId();
  const subject = subjectOf(part, item.directory);
  const hasBody = (Boolean(children) && !isEmpty) || part.error !== "";
  const Icon = isOpen ? ChevronDown : ChevronRight;
  return (
    <div className={cx(style.card, part.status === "error" && style.failed)}>
      <div className={style.line}>
        <button
          type="button"
          className={style.head}
          aria-expanded={hasBody ? isOpen : undefined}
          aria-controls={hasBody && isOpen ? id : undefined}
          disabled={!hasBody}
          onClick={toggle}
        >
          <Icon size={14} aria-hidden className={cx(!hasBody && style.hidden)} />
          <span className={style.tool}>{oneLine(part.tool, 40)}</span>
          <span className={style.subject}>{oneLine(subject, 300)}</span>
          {note}
          <State part={part} />
        </button>
        {beside}
      </div>
      {isOpen && hasBody && (
        <div id={id} className={style.body}>
          {children}
          {part.error !== "" && <pre className={style.error}>{plain(unstyled(part.error.slice(0, 4_000)))}</pre>}
          <FilesHere part={part} />
        </div>
      )}
    </div>
  );
}

function State({ part }: { readonly part: ToolPart }): ReactNode {
  if (part.status === "pending") return <span className={style.state}>begins</span>;
  if (part.status === "running") return <Running sinceMs={part.startMs} />;
  const result = resultOf(part);
  const tookMs = part.startMs === null || part.endMs === null ? 0 : part.endMs - part.startMs;
  return (
    <>
      {part.status === "error" && <span className={style.bad}>failed</span>}
      {result !== "" && <span className={result.startsWith("exit") ? style.bad : style.state}>{result}</span>}
      {tookMs >= NOTED_MS && <span className={style.state}>{duration(tookMs)}</span>}
    </>
  );
}

function Running({ sinceMs }: { readonly sinceMs: number | null }): ReactNode {
  const now = useNow();
  return (
    <span className={style.running}>
      <span aria-hidden>◉</span> {sinceMs === null || now - sinceMs < NOTED_MS ? "running" : duration(now - sinceMs)}
    </span>
  );
}
