/** A command: its text, its output, its end. It stays open, because readers would look for an output that disappears. */
import type { ReactNode } from "react";
import { plain } from "../../../core/text.ts";
import { shellOutput } from "../../../core/tools.ts";
import { type ToolPart, text } from "../../../wire/opencode.ts";
import { useWhole } from "../transcript/whole.ts";
import { Card } from "./card.tsx";
import { Output } from "./output.tsx";
import style from "./tools.module.css";

export function BashCard({ part }: { readonly part: ToolPart }): ReactNode {
  const command = text(part.input.command);
  useWhole(part); // the end of an output is more useful than its beginning
  const { text: output, notes } = shellOutput(part);
  const isLong = command.length > 90 || command.trim().includes("\n");
  return (
    <Card part={part} isOpenAtFirst isEmpty={!isLong && part.output === "" && part.status !== "completed"}>
      {isLong && <pre className={style.command}>{plain(command.trim())}</pre>}
      <Output part={part} text={output} />
      {part.status === "completed" && output === "" && <p className={style.nothing}>no output</p>}
      {notes !== "" && <p className={style.nothing}>{plain(notes)}</p>}
    </Card>
  );
}
