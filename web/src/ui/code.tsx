/** Code, with colours once they are known: the text is visible at once and never changes its size. */
import { type ReactNode, useEffect, useState } from "react";
import { highlight, knownLines } from "../browser/highlighter.ts";
import { type CodeLine, TOKEN_KINDS } from "../core/code.ts";
import style from "./code.module.css";
import { cx } from "./cx.ts";

/** Return the code's lines as tokens; null as long as there are none. If the language is null, there are never any. */
export function useTokens(code: string, language: string | null): readonly CodeLine[] | null {
  const known = language === null ? null : knownLines(code, language);
  const [found, setFound] = useState<{ readonly code: string; readonly lines: readonly CodeLine[] | null } | null>(
    null,
  );
  useEffect(() => {
    if (language === null || knownLines(code, language) !== undefined) return;
    let isWanted = true;
    void highlight(code, language).then(lines => isWanted && setFound({ code, lines }));
    return () => {
      isWanted = false;
    };
  }, [code, language]);
  if (known !== undefined) return known;
  return found?.code === code ? found.lines : null;
}

/** The tokens of one line. */
export function Tokens(props: { readonly line: CodeLine }): ReactNode {
  return props.line.map(([text, kind], index) =>
    kind === 0 ? (
      text
    ) : (
      // biome-ignore lint/suspicious/noArrayIndexKey: a line is replaced as a whole
      <span key={index} className={style[TOKEN_KINDS[kind] ?? "plain"]}>
        {text}
      </span>
    ),
  );
}

type CodeProps = { readonly code: string; readonly language: string | null; readonly className?: string | undefined };

export function Code({ code, language, className }: CodeProps): ReactNode {
  const lines = useTokens(code, language);
  return (
    <pre className={cx(style.code, className)}>
      <code>
        {lines === null
          ? code
          : lines.map((line, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: the lines are replaced as a whole
              <span key={index}>
                <Tokens line={line} />
                {index < lines.length - 1 && "\n"}
              </span>
            ))}
      </code>
    </pre>
  );
}
