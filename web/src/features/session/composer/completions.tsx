/** The completions at the caret: commands after `/`, files after `@`. */
import { type KeyboardEvent, type ReactNode, type RefObject, useId, useMemo, useState } from "react";
import { completed, type Trigger, triggerAt } from "../../../core/prompting.ts";
import { hasProcess } from "../../../core/status.ts";
import { oneLine } from "../../../core/text.ts";
import { useFoundFiles } from "../../../state/session.ts";
import type { CommandItem } from "../../../wire/api.ts";
import { useOpen } from "../open.tsx";
import style from "./composer.module.css";

const SHOWN_MAX = 12;

type Choice = { readonly value: string; readonly note: string };

export type CompletionState = {
  readonly isOpen: boolean;
  readonly listId: string;
  readonly activeId: string | undefined;
  readonly kind: Trigger["kind"];
  readonly choices: readonly Choice[];
  readonly active: number;
  readonly typed: (caret: number) => void;
  readonly close: () => void;
  readonly choose: (index: number) => void;
  readonly onKeyDown: (event: KeyboardEvent) => boolean;
};

export function useCompletions(
  box: RefObject<HTMLTextAreaElement | null>,
  text: string,
  commands: readonly CommandItem[],
  write: (text: string, caret: number) => void,
): CompletionState {
  const { item } = useOpen();
  const listId = useId();
  const [caret, setCaret] = useState<number | null>(null);
  const [active, setActive] = useState(0);
  const trigger = caret === null ? null : triggerAt(text, caret);
  const kind = trigger?.kind ?? null;
  const query = trigger?.query ?? "";
  const files = useFoundFiles(hasProcess(item) ? item.instanceId : null, item.id, kind === "file" ? query : null);
  const choices = useMemo<readonly Choice[]>(() => {
    if (kind === null) return [];
    return kind === "file" ? files.map(value => ({ value, note: "" })) : matching(commands, query);
  }, [kind, query, files, commands]);
  const isOpen = choices.length > 0 && trigger !== null;
  const at = Math.min(active, Math.max(0, choices.length - 1));

  function choose(index: number): void {
    const choice = choices[index];
    if (trigger === null || choice === undefined) return;
    const [next, place] = completed(text, trigger, choice.value);
    setCaret(null);
    write(next, place);
  }

  function onKeyDown(event: KeyboardEvent): boolean {
    if (!isOpen) return false;
    if (event.key === "ArrowDown") setActive((at + 1) % choices.length);
    else if (event.key === "ArrowUp") setActive((at + choices.length - 1) % choices.length);
    else if (event.key === "Enter" || event.key === "Tab") choose(at);
    else if (event.key === "Escape") setCaret(null);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  return {
    isOpen,
    listId,
    activeId: isOpen ? `${listId}-${at}` : undefined,
    kind: kind ?? "file",
    choices,
    active: at,
    typed: place => {
      if (box.current === null) return;
      setActive(0);
      setCaret(place);
    },
    close: () => setCaret(null),
    choose,
    onKeyDown,
  };
}

function matching(commands: readonly CommandItem[], query: string): readonly Choice[] {
  const typed = query.toLowerCase();
  const found = commands.filter(each => each.name.toLowerCase().includes(typed));
  const begins = (name: string) => (name.toLowerCase().startsWith(typed) ? 0 : 1);
  return [...found]
    .sort((one, other) => begins(one.name) - begins(other.name) || one.name.localeCompare(other.name))
    .slice(0, SHOWN_MAX)
    .map(each => ({ value: each.name, note: each.description }));
}

export function Completions({ isOpen, listId, kind, choices, active, choose }: CompletionState): ReactNode {
  if (!isOpen) return null;
  return (
    <div className={style.completions} role="listbox" id={listId} aria-label={kind === "file" ? "Files" : "Commands"}>
      {choices.map((choice, index) => (
        // biome-ignore lint/a11y/useFocusableInteractive lint/a11y/useKeyWithClickEvents: the text box keeps the focus and the keys
        <div
          key={choice.value}
          id={`${listId}-${index}`}
          role="option"
          aria-selected={index === active}
          className={style.completion}
          onMouseDown={event => event.preventDefault()}
          onClick={() => choose(index)}
        >
          <span className={style.completionName}>
            {kind === "file" ? "@" : "/"}
            {oneLine(choice.value, 120)}
          </span>
          <span className={style.completionNote}>{oneLine(choice.note, 120)}</span>
        </div>
      ))}
    </div>
  );
}
