/** A change of a file, as a small diff. */
import { type ReactNode, useMemo } from "react";
import { type Patch, readPatch, replaced } from "../../../core/small-diff.ts";
import { counted, plain } from "../../../core/text.ts";
import { Button } from "../../../ui/button.tsx";
import { LineCounts } from "../../../ui/changes.tsx";
import { list, record, type ToolPart, text } from "../../../wire/opencode.ts";
import { useOpened } from "../transcript/opened.ts";
import { useFetchWhole } from "../transcript/whole.ts";
import { Card } from "./card.tsx";
import style from "./tools.module.css";

const LINES_SHOWN = 14;
const LINES_MAX = 2_000;

export function ChangeCard({ part }: { readonly part: ToolPart }): ReactNode {
  const patch = useMemo(() => patchOf(part), [part]);
  const isChange = patch.lines.length > 0;
  return (
    <Card
      part={part}
      isOpenAtFirst={isChange && patch.lines.length <= LINES_SHOWN}
      note={isChange && <LineCounts additions={patch.additions} deletions={patch.deletions} />}
    >
      {isChange && <PatchView part={part} patch={patch} />}
    </Card>
  );
}

function patchOf(part: ToolPart): Patch {
  const { input, metadata } = part;
  const given =
    text(metadata.diff) || text(record(metadata.filediff).patch) || text(input.patchText) || text(input.patch);
  if (given !== "") return readPatch(given);
  if (part.tool === "write") return replaced("", text(input.content));
  const edits = list(input.edits).map(record);
  if (edits.length > 0) return together(edits.map(edit => replaced(text(edit.oldString), text(edit.newString))));
  return replaced(text(input.oldString), text(input.newString));
}

function together(patches: readonly Patch[]): Patch {
  return {
    lines: patches.flatMap((patch, index) => (index === 0 ? patch.lines : [{ kind: "gap", text: "" }, ...patch.lines])),
    additions: patches.reduce((sum, patch) => sum + patch.additions, 0),
    deletions: patches.reduce((sum, patch) => sum + patch.deletions, 0),
  };
}

const SIGNS = { add: "+", del: "−", same: " ", gap: "⋯" } as const;

function PatchView({ part, patch }: { readonly part: ToolPart; readonly patch: Patch }): ReactNode {
  const [isWhole, toggle] = useOpened(`${part.id}-patch`, false);
  const [isFetching, fetchWhole] = useFetchWhole(part);
  const lines = patch.lines.slice(0, isWhole ? LINES_MAX : LINES_SHOWN);
  const hidden = patch.lines.length - lines.length;
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <pre className={style.patch} tabIndex={0}>
        {lines.map((line, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the lines are replaced as a whole
          <span key={index} className={style[line.kind]}>
            <span aria-hidden>{SIGNS[line.kind]}</span>
            {line.kind === "add" && <span className="visually-hidden">added: </span>}
            {line.kind === "del" && <span className="visually-hidden">removed: </span>}
            {` ${plain(line.text)}\n`}
          </span>
        ))}
      </pre>
      {((hidden > 0 && !isWhole) || part.isCut) && (
        <Button
          size="small"
          kind="quiet"
          isBusy={isFetching}
          onClick={() => {
            if (!isWhole) toggle();
            if (part.isCut) fetchWhole();
          }}
        >
          {part.isCut ? "Show all" : `Show ${counted(hidden, "more line")}`}
        </Button>
      )}
      {hidden > 0 && isWhole && <p className={style.nothing}>{counted(hidden, "more line")}: see the diffs</p>}
    </>
  );
}
