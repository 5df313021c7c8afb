/** What a tool call shows: one line that folds open, by its kind. */
import type { ReactNode } from "react";
import { kindOf } from "../../../core/tools.ts";
import type { ToolPart } from "../../../wire/opencode.ts";
import { BashCard } from "./bash.tsx";
import { ChangeCard } from "./change.tsx";
import { OtherCard } from "./other.tsx";
import { PlainCard } from "./plain.tsx";
import { TaskCard } from "./task.tsx";
import { TodoCard } from "./todo.tsx";

export function ToolCard({ part }: { readonly part: ToolPart }): ReactNode {
  switch (kindOf(part)) {
    case "bash":
      return <BashCard part={part} />;
    case "change":
      return <ChangeCard part={part} />;
    case "todo":
      return <TodoCard part={part} />;
    case "task":
      return <TaskCard part={part} />;
    case "read":
    case "search":
    case "web":
    case "question":
      return <PlainCard part={part} />;
    case "other":
      return <OtherCard part={part} />;
  }
}
