/** A text of the agent. */
import { type ReactNode, useState } from "react";
import { bytes, plain } from "../../../core/text.ts";
import { Button } from "../../../ui/button.tsx";
import type { TextPart } from "../../../wire/opencode.ts";
import { Markdown } from "./markdown.tsx";
import style from "./rows.module.css";
import { useWhole } from "./whole.ts";

/** Longer texts are shown without Markdown, the beginning first. */
const MARKDOWN_CHARS_MAX = 100_000;
const SHOWN_CHARS = 20_000;

export function Said({ part }: { readonly part: TextPart }): ReactNode {
  useWhole(part);
  return part.text.length > MARKDOWN_CHARS_MAX ? <LongText text={part.text} /> : <Markdown text={part.text} />;
}

/** A text of any length: its beginning, and all of it on request. */
export function LongText({ text }: { readonly text: string }): ReactNode {
  const [isWhole, setWhole] = useState(false);
  return (
    <div>
      <pre className={style.plain}>{plain(isWhole ? text : text.slice(0, SHOWN_CHARS))}</pre>
      {!isWhole && text.length > SHOWN_CHARS && (
        <Button size="small" onClick={() => setWhole(true)}>
          Show all {bytes(text.length)}
        </Button>
      )}
    </div>
  );
}
