/** The output of a tool: its end at first, all of it on request. */
import { type ReactNode, useMemo } from "react";
import { lastLines, runsOf } from "../../../core/ansi.ts";
import { counted } from "../../../core/text.ts";
import { Button } from "../../../ui/button.tsx";
import { CopyButton } from "../../../ui/copy.tsx";
import { cx } from "../../../ui/cx.ts";
import type { ToolPart } from "../../../wire/opencode.ts";
import { useOpened } from "../transcript/opened.ts";
import { useFetchWhole } from "../transcript/whole.ts";
import style from "./tools.module.css";

const LINES_SHOWN = 10;
/** The browser would need seconds to lay out more; the file or the terminal has the rest. */
const CHARS_SHOWN = 400_000;

type OutputProps = { readonly part: ToolPart; readonly text: string; readonly linesShown?: number };

export function Output({ part, text, linesShown = LINES_SHOWN }: OutputProps): ReactNode {
  const [isWhole, toggle] = useOpened(`${part.id}-output`, false);
  const [isFetching, fetchWhole] = useFetchWhole(part);
  const { text: last, hidden } = useMemo(() => lastLines(text, linesShown), [text, linesShown]);
  const shown = isWhole ? text.slice(-CHARS_SHOWN) : last.slice(-CHARS_SHOWN / 20);
  if (text === "") return null;
  const isShort = hidden > 0 || shown.length < last.length || part.isCut;
  return (
    <div className={style.output}>
      {isShort && (
        <div className={style.more}>
          <Button
            size="small"
            kind="quiet"
            isBusy={isFetching}
            onClick={() => {
              toggle();
              if (part.isCut) fetchWhole();
            }}
          >
            {isWhole
              ? "Show the last lines"
              : hidden > 0 && !part.isCut
                ? `Show ${counted(hidden, "line")} before`
                : "Show all"}
          </Button>
          {isWhole && <CopyButton text={text} />}
        </div>
      )}
      <Coloured text={shown} />
    </div>
  );
}

/** Text of a terminal, with its colours. */
export function Coloured({ text }: { readonly text: string }): ReactNode {
  const runs = useMemo(() => runsOf(text), [text]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <pre className={style.terminal} tabIndex={0}>
      {runs.map((run, index) =>
        run.colour === null && !run.isBold ? (
          run.text
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: the runs are replaced as a whole
          <span key={index} className={cx(run.colour !== null && style[run.colour], run.isBold && style.bold)}>
            {run.text}
          </span>
        ),
      )}
    </pre>
  );
}
