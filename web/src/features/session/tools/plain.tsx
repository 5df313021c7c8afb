/** A call whose output is a text: reads, searches, pages, questions. Folded, because the text is for the agent. */
import type { ReactNode } from "react";
import type { ToolPart } from "../../../wire/opencode.ts";
import { Card } from "./card.tsx";
import { Output } from "./output.tsx";

const LINES_SHOWN = 16;

export function PlainCard({ part }: { readonly part: ToolPart }): ReactNode {
  return (
    <Card part={part} isOpenAtFirst={part.tool === "question"}>
      {part.output !== "" && <Output part={part} text={contentOf(part)} linesShown={LINES_SHOWN} />}
    </Card>
  );
}

/** OpenCode adds text around a file that it reads, for the model only. */
function contentOf(part: ToolPart): string {
  if (part.tool !== "read") return part.output;
  const found = /<(?:file|content)>\n?([\s\S]*?)\n?<\/(?:file|content)>/.exec(part.output);
  return found?.[1] ?? part.output;
}
