/** Colours of code in a diff. Until they are known, and for what has none, the text is plain. */
import { useMemo } from "react";
import { type CodeLine, languageOfFile, TOKEN_KINDS } from "../../core/code.ts";
import type { Side } from "../../core/hunks.ts";
import type { Compared } from "../../core/line-diff.ts";
import type { Token } from "../../core/words.ts";
import names from "../../ui/code.module.css";
import { useTokens } from "../../ui/code.tsx";
import type { DiffItem } from "../../wire/types.ts";
import type { Colours } from "./slice.tsx";

const NONE: readonly Token[] = [];

export function useColours(item: DiffItem, diff: Compared): Colours {
  const before = useSide(item.oldFile ?? item.file, diff.before);
  const after = useSide(item.file, diff.after);
  return useMemo(() => {
    const sides: Readonly<Record<Side, readonly CodeLine[] | null>> = { before, after };
    return (side, line) => sides[side]?.[line - 1]?.map(tokenOf) ?? NONE;
  }, [before, after]);
}

function useSide(file: string, lines: readonly string[]): readonly CodeLine[] | null {
  const code = useMemo(() => lines.join("\n"), [lines]);
  return useTokens(code, code === "" ? null : languageOfFile(file));
}

function tokenOf([text, kind]: CodeLine[number]): Token {
  return [text.length, kind === 0 ? "" : (names[TOKEN_KINDS[kind] ?? ""] ?? "")];
}
