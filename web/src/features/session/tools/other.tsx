/** Calls of tools that this page does not know, and parts of an unknown kind: as they are. */
import { ChevronDown, ChevronRight } from "lucide-react";
import { type ReactNode, useMemo } from "react";
import { oneLine, plain } from "../../../core/text.ts";
import type { Json, ToolPart } from "../../../wire/opencode.ts";
import { useOpened } from "../transcript/opened.ts";
import { Card } from "./card.tsx";
import { Output } from "./output.tsx";
import style from "./tools.module.css";

const CHARS_SHOWN = 20_000;

export function OtherCard({ part }: { readonly part: ToolPart }): ReactNode {
  const input = useMemo(() => indented(part.input), [part.input]);
  return (
    <Card part={part}>
      {input !== "{}" && <pre className={style.terminal}>{input}</pre>}
      <Output part={part} text={part.output} />
    </Card>
  );
}

type JsonCardProps = { readonly name: string; readonly json: Json; readonly cardKey: string };

export function JsonCard({ name, json, cardKey }: JsonCardProps): ReactNode {
  const [isOpen, toggle] = useOpened(cardKey, false);
  const Icon = isOpen ? ChevronDown : ChevronRight;
  return (
    <div className={style.card}>
      <button type="button" className={style.head} aria-expanded={isOpen} onClick={toggle}>
        <Icon size={14} aria-hidden />
        <span className={style.tool}>{oneLine(name, 40)}</span>
        <span className={style.subject}>{isOpen ? "" : oneLine(JSON.stringify(json), 160)}</span>
      </button>
      {isOpen && <pre className={style.terminal}>{indented(json)}</pre>}
    </div>
  );
}

function indented(json: Json): string {
  return plain(JSON.stringify(json, null, 2).slice(0, CHARS_SHOWN));
}
