/** Sixty rows of a diff, drawn by react-diff-view. A change of another slice does not render it again. */
import { memo, type ReactNode, useMemo } from "react";
import { type ChangeData, Diff, Hunk, type HunkData, type RenderToken } from "react-diff-view/esm";
import type { Partners, Row, Side, View } from "../../core/hunks.ts";
import type { Compared } from "../../core/line-diff.ts";
import { plain } from "../../core/text.ts";
import { type Piece, piecesOf, type Token, wordChanges } from "../../core/words.ts";
import code from "../../ui/code.module.css";
import { cx } from "../../ui/cx.ts";
import style from "./lines.module.css";

/** Colours of each line, as far as they are known. */
export type Colours = (side: Side, line: number) => readonly Token[];

export type LineEvents = NonNullable<Parameters<typeof Diff>[0]["gutterEvents"]>;

export type SliceProps = {
  readonly rows: readonly Row[];
  readonly diff: Compared;
  readonly view: View;
  /** Whether the file exists on one side only: a second column would be empty. */
  readonly isOneSided: boolean;
  readonly partners: Partners;
  readonly colours: Colours;
  /** Keys of the lines that are selected. */
  readonly selected: readonly string[];
  /** The elements below lines, by key. */
  readonly widgets: Readonly<Record<string, ReactNode>>;
  readonly events: LineEvents;
};

/** A longer line is cut: drawing it would block the page. */
const LINE_CHARS_MAX = 2_000;

type Node = { readonly type: string; readonly piece: Piece | null; readonly note: string };

export const SliceView = memo(function SliceView(props: SliceProps): ReactNode {
  const { rows, diff, view, isOneSided, partners, colours, selected, widgets, events } = props;
  const hunk = useMemo(() => hunkOf(rows, diff), [rows, diff]);
  const tokens = useMemo(() => tokensOf(rows, diff, partners, colours), [rows, diff, partners, colours]);
  return (
    <Diff
      diffType={isOneSided ? "add" : "modify"}
      viewType={view}
      hunks={[hunk]}
      tokens={tokens}
      renderToken={drawToken}
      selectedChanges={selected as string[]}
      widgets={widgets}
      gutterEvents={events}
    >
      {hunks => hunks.map(each => <Hunk key="rows" hunk={each} />)}
    </Diff>
  );
});

const drawToken: RenderToken = (token, _, index) => {
  const { piece, note } = token as unknown as Node;
  if (piece === null) {
    return (
      <span key={index} className={style.note}>
        {note}
      </span>
    );
  }
  // the pale colour of comments is not readable on the background of a mark
  const colour = piece.isMarked && piece.name === code.comment ? "" : piece.name;
  const name = cx(colour, piece.isMarked && "diff-code-edit");
  const text = plain(piece.text);
  return name === "" ? (
    text
  ) : (
    <span key={index} className={name}>
      {text}
    </span>
  );
};

function hunkOf(rows: readonly Row[], diff: Compared): HunkData {
  const changes = rows.flatMap(row => changesOf(row, diff));
  const [oldStart, newStart] = [rows.find(row => row.before > 0)?.before ?? 0, rows.find(row => row.after)?.after ?? 0];
  const count = (side: Side): number => rows.filter(row => row[side] > 0).length;
  return { content: "", oldStart, newStart, oldLines: count("before"), newLines: count("after"), changes };
}

function changesOf(row: Row, diff: Compared): ChangeData[] {
  const content = (side: Side): string => diff[side][row[side] - 1] ?? "";
  if (row.kind === "same") {
    const numbers = { oldLineNumber: row.before, newLineNumber: row.after };
    return [{ type: "normal", isNormal: true, content: content("after"), ...numbers }];
  }
  const changes: ChangeData[] = [];
  if (row.before > 0)
    changes.push({ type: "delete", isDelete: true, content: content("before"), lineNumber: row.before });
  if (row.after > 0) changes.push({ type: "insert", isInsert: true, content: content("after"), lineNumber: row.after });
  return changes;
}

/** Return the pieces of each line in the form that react-diff-view expects: by side, at line number - 1. */
function tokensOf(rows: readonly Row[], diff: Compared, partners: Partners, colours: Colours) {
  const tokens: { old: Node[][]; new: Node[][] } = { old: [], new: [] };
  for (const row of rows) {
    if (row.before > 0) tokens.old[row.before - 1] = nodesOf(row, "before", diff, partners, colours);
    if (row.after > 0) tokens.new[row.after - 1] = nodesOf(row, "after", diff, partners, colours);
  }
  return tokens as unknown as NonNullable<Parameters<typeof Diff>[0]["tokens"]>;
}

function nodesOf(row: Row, side: Side, diff: Compared, partners: Partners, colours: Colours): Node[] {
  const line = row[side];
  const text = diff[side][line - 1] ?? "";
  const other = row.kind === "same" ? 0 : (partners[side][line] ?? 0);
  const words =
    other === 0
      ? null
      : wordChanges(textAt(diff, "before", side, line, other), textAt(diff, "after", side, line, other));
  const { shown, notes } = shownOf(text, side, line, diff);
  const pieces = piecesOf(shown, colours(side, line), words?.[side] ?? []);
  const nodes: Node[] = pieces.map(piece => ({ type: "piece", piece, note: "" }));
  return [...nodes, ...notes.map(note => ({ type: "note", piece: null, note }))];
}

/** Return the text of a changed line, or of its partner if the partner is on this side. */
function textAt(diff: Compared, wanted: Side, side: Side, line: number, other: number): string {
  return diff[wanted][(wanted === side ? line : other) - 1] ?? "";
}

/** Return the part of a line that is drawn, and the note at its end. */
function shownOf(text: string, side: Side, line: number, diff: Compared): { shown: string; notes: readonly string[] } {
  const notes: string[] = [];
  const hidesCr = text.endsWith("\r") && diff.isCrlf.before === diff.isCrlf.after;
  let shown = text.endsWith("\r") ? text.slice(0, -1) : text;
  if (text.endsWith("\r") && !hidesCr) notes.push("␍");
  if (shown.length > LINE_CHARS_MAX) {
    notes.push(`… ${(shown.length - LINE_CHARS_MAX).toLocaleString("en-US")} more characters`);
    shown = shown.slice(0, LINE_CHARS_MAX);
  }
  if (line === diff[side].length && !diff.endsWell[side]) notes.push("no newline at the end of the file");
  return { shown, notes };
}
