/** The agent's list of things to do, as it has just written it. */
import type { ReactNode } from "react";
import { todosIn } from "../../../core/tools.ts";
import type { ToolPart } from "../../../wire/opencode.ts";
import { TodoList } from "../side/todos.tsx";
import { Card } from "./card.tsx";

export function TodoCard({ part }: { readonly part: ToolPart }): ReactNode {
  const todos = todosIn(part);
  return <Card part={part}>{todos.length > 0 && <TodoList todos={todos} />}</Card>;
}
