/** What the agent thought, folded: one line that says for how long. */
import { ChevronDown, ChevronRight } from "lucide-react";
import { type ReactNode, useId } from "react";
import { duration, oneLine } from "../../../core/text.ts";
import { useNow } from "../../../state/clock.ts";
import type { TextPart } from "../../../wire/opencode.ts";
import { Markdown } from "./markdown.tsx";
import { useOpened } from "./opened.ts";
import style from "./rows.module.css";
import { useWhole } from "./whole.ts";

export function Reasoning({ part }: { readonly part: TextPart }): ReactNode {
  useWhole(part);
  const [isOpen, toggle] = useOpened(part.id, false);
  const id = useId();
  const Icon = isOpen ? ChevronDown : ChevronRight;
  return (
    <div className={style.reasoning}>
      <button type="button" className={style.fold} aria-expanded={isOpen} aria-controls={id} onClick={toggle}>
        <Icon size={14} aria-hidden />
        {part.endMs === null ? <Thinking sinceMs={part.startMs} /> : <span>{thought(part)}</span>}
        {!isOpen && <span className={style.hint}>{oneLine(part.text, 160)}</span>}
      </button>
      {isOpen && (
        <div id={id} className={style.thoughts}>
          <Markdown text={part.text} />
        </div>
      )}
    </div>
  );
}

function thought({ startMs, endMs }: TextPart): string {
  return startMs === null || endMs === null || endMs - startMs < 1_000
    ? "thought"
    : `thought for ${duration(endMs - startMs)}`;
}

function Thinking({ sinceMs }: { readonly sinceMs: number | null }): ReactNode {
  const now = useNow();
  const ms = sinceMs === null ? 0 : now - sinceMs;
  return <span>{ms < 1_000 ? "thinking" : `thinking for ${duration(ms)}`}</span>;
}
