/** A match of a search: the words around it, with the hits marked. */
import type { ReactNode } from "react";
import { plain } from "../../core/text.ts";
import type { HistoryItem } from "../../wire/types.ts";
import style from "./history.module.css";

type SnippetItem = NonNullable<HistoryItem["snippet"]>;

const KINDS: Readonly<Record<string, string>> = {
  title: "Title",
  prompt: "Prompt",
  answer: "Answer",
  tool: "Tool output",
};

/** Return the text in pieces; `hits` are [start, end) in code points, as the server counts them. */
export function pieces(
  text: string,
  hits: readonly (readonly number[])[],
): readonly { readonly text: string; readonly isHit: boolean }[] {
  const points = [...text];
  const found: { text: string; isHit: boolean }[] = [];
  let at = 0;
  for (const [start = 0, end = 0] of hits) {
    if (start > at) found.push({ text: points.slice(at, start).join(""), isHit: false });
    found.push({ text: points.slice(start, end).join(""), isHit: true });
    at = end;
  }
  if (at < points.length) found.push({ text: points.slice(at).join(""), isHit: false });
  return found;
}

export function Snippet({ snippet }: { readonly snippet: SnippetItem }): ReactNode {
  return (
    <p className={style.snippet}>
      <span className={style.kind}>{KINDS[snippet.kind] ?? snippet.kind}</span>{" "}
      {pieces(snippet.text, snippet.hits).map((piece, index) =>
        // biome-ignore lint/suspicious/noArrayIndexKey: pieces of one text never change their order
        piece.isHit ? <mark key={index}>{plain(piece.text)}</mark> : <span key={index}>{plain(piece.text)}</span>,
      )}
    </p>
  );
}
