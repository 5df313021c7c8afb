/** ↑ in an empty box shows earlier prompts. */
import { type KeyboardEvent, useRef } from "react";
import { saidIn } from "../../../core/rows.ts";
import { useOpen } from "../open.tsx";

export type PromptHistory = {
  /** Handle a key. Return whether the history uses it. */
  readonly onKeyDown: (event: KeyboardEvent<HTMLTextAreaElement>) => boolean;
  /** Leave the history: the person has changed the text. */
  readonly end: () => void;
};

export function usePromptHistory(text: string, write: (text: string, caret: number) => void): PromptHistory {
  const { transcript } = useOpen();
  const index = useRef(-1);

  function prompts(): readonly string[] {
    const { fold } = transcript;
    const said = fold
      .messages()
      .filter(id => fold.info(id)?.role === "user")
      .map(id => saidIn(fold.parts(id)))
      .filter(each => each !== "");
    return said.reverse();
  }

  function show(next: number): void {
    const found = next < 0 ? "" : prompts()[next];
    if (found === undefined) return;
    index.current = next;
    write(found, found.length);
  }

  return {
    end: () => {
      index.current = -1;
    },
    onKeyDown: event => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return false;
      const isBrowsing = index.current >= 0;
      if (event.key === "ArrowUp" && (text === "" || (isBrowsing && isFirstLine(event.currentTarget)))) {
        event.preventDefault();
        show(index.current + 1);
        return true;
      }
      if (event.key === "ArrowDown" && isBrowsing && isLastLine(event.currentTarget)) {
        event.preventDefault();
        show(index.current - 1);
        return true;
      }
      return false;
    },
  };
}

function isFirstLine(box: HTMLTextAreaElement): boolean {
  return !box.value.slice(0, box.selectionStart).includes("\n");
}

function isLastLine(box: HTMLTextAreaElement): boolean {
  return !box.value.slice(box.selectionEnd).includes("\n");
}
