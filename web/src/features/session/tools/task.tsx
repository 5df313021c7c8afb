/** A sub-agent: its task, a link to its conversation, and its report. */
import { Link } from "@tanstack/react-router";
import { ArrowRight } from "lucide-react";
import type { ReactNode } from "react";
import { oneLine } from "../../../core/text.ts";
import { conversationOf, reportOf } from "../../../core/tools.ts";
import { type ToolPart, text } from "../../../wire/opencode.ts";
import { useOpen } from "../open.tsx";
import { Markdown } from "../transcript/markdown.tsx";
import { Card } from "./card.tsx";
import style from "./tools.module.css";

export function TaskCard({ part }: { readonly part: ToolPart }): ReactNode {
  const { item, at } = useOpen();
  const conversation = conversationOf(part);
  const agent = text(part.input.subagent_type);
  const report = reportOf(part);
  return (
    <Card
      part={part}
      note={agent !== "" && <span className={style.state}>{oneLine(agent, 40)}</span>}
      beside={
        conversation !== null && (
          <Link
            to="/s/$id/a/$conversation"
            params={{ id: item.id, conversation }}
            search={at === null ? {} : { at: String(at) }}
            className={style.down}
            aria-label={`Open the sub-agent: ${oneLine(part.title, 80)}`}
          >
            open <ArrowRight size={13} aria-hidden />
          </Link>
        )
      }
    >
      {report !== "" && <Markdown text={report} />}
    </Card>
  );
}
