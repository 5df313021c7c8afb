/** Things to do, with what is done and what is being done. */
import type { ReactNode } from "react";
import { oneLine } from "../../../core/text.ts";
import type { Todo } from "../../../wire/opencode.ts";
import style from "./side.module.css";

const LOOKS: Readonly<Record<string, { readonly shape: string; readonly word: string }>> = {
  completed: { shape: "✓", word: "done" },
  in_progress: { shape: "◐", word: "doing" },
  pending: { shape: "○", word: "to do" },
  cancelled: { shape: "–", word: "cancelled" },
};

export function TodoList({ todos }: { readonly todos: readonly Todo[] }): ReactNode {
  return (
    <ul className={style.todos}>
      {todos.map((todo, index) => {
        const { shape, word } = LOOKS[todo.status] ?? { shape: "?", word: todo.status };
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: the list is replaced as a whole
          <li key={index} data-status={todo.status}>
            <span aria-hidden>{shape}</span>
            <span className="visually-hidden">{word}: </span>
            <span>{oneLine(todo.content, 300)}</span>
          </li>
        );
      })}
    </ul>
  );
}
