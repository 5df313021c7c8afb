/** The toolbar of a diff: what is compared, the layout, and how many files were viewed. */
import { MoreHorizontal } from "lucide-react";
import type { ReactNode } from "react";
import { isMac } from "../../browser/platform.ts";
import type { View } from "../../core/hunks.ts";
import { keysOf } from "../../core/keymap.ts";
import { oneLine } from "../../core/text.ts";
import { Button, IconButton } from "../../ui/button.tsx";
import { LineCounts } from "../../ui/changes.tsx";
import { Check } from "../../ui/field.tsx";
import { Menu } from "../../ui/menu.tsx";
import { Select } from "../../ui/select.tsx";
import type { DiffItem, TurnItem } from "../../wire/types.ts";
import style from "./panel.module.css";

type ToolbarProps = {
  readonly turns: readonly TurnItem[];
  readonly turn: string | null;
  readonly onTurn: (turn: string | null) => void;
  /** Null if there is room for one column only. */
  readonly view: View | null;
  readonly onView: (view: View) => void;
  readonly ignoreBlanks: boolean;
  readonly onIgnoreBlanks: (ignoreBlanks: boolean) => void;
  readonly files: readonly DiffItem[];
  readonly viewed: number;
  readonly waiting: number;
  /** Null if this person cannot send a review now. */
  readonly onReview: (() => void) | null;
  readonly onDownload: () => void;
};

const ALL = "all";
const PROMPT_CHARS = 48;

export function Toolbar(props: ToolbarProps): ReactNode {
  const { turns, turn, onTurn, view, onView, ignoreBlanks, onIgnoreBlanks, files, viewed } = props;
  const choices = [
    { value: ALL, label: "All turns" },
    ...[...turns].reverse().map(each => ({
      value: String(each.number),
      label: `Turn ${each.number}: ${oneLine(each.prompt, PROMPT_CHARS)}`,
    })),
  ];
  return (
    <div className={style.toolbar} role="toolbar" aria-label="Diffs">
      <Select
        label="Changes of"
        size="small"
        value={turn ?? ALL}
        choices={choices}
        onChange={value => onTurn(value === ALL ? null : value)}
      />
      <span className={style.totals}>
        <Totals files={files} />
      </span>
      {view && <ViewSwitch view={view} onView={onView} />}
      <span title={`Lines that differ in whitespace alone count as the same (${keysOf("diff.whitespace", isMac)[0]})`}>
        <Check label="Hide whitespace" checked={ignoreBlanks} onChange={onIgnoreBlanks} />
      </span>
      <span className={style.gap} />
      {files.length > 0 && (
        <span className={style.progress}>
          {viewed} of {files.length} viewed
        </span>
      )}
      <Acts {...props} />
    </div>
  );
}

function Totals(props: { readonly files: readonly DiffItem[] }): ReactNode {
  const sum = (of: (item: DiffItem) => number): number => props.files.reduce((total, item) => total + of(item), 0);
  return <LineCounts additions={sum(item => item.additions)} deletions={sum(item => item.deletions)} />;
}

function ViewSwitch(props: { readonly view: View; readonly onView: (view: View) => void }): ReactNode {
  const keys = keysOf("diff.split", isMac)[0];
  return (
    <fieldset className={style.switch} aria-label="Layout" title={`Split or unified (${keys})`}>
      {(["split", "unified"] as const).map(each => (
        <Button
          key={each}
          size="small"
          kind="quiet"
          aria-pressed={props.view === each}
          onClick={() => props.onView(each)}
        >
          {each === "split" ? "Split" : "Unified"}
        </Button>
      ))}
    </fieldset>
  );
}

function Acts({ files, waiting, onReview, onDownload }: ToolbarProps): ReactNode {
  return (
    <>
      {onReview && (
        <Button size="small" kind={waiting > 0 ? "primary" : "plain"} disabled={waiting === 0} onClick={onReview}>
          Review ({waiting}) → Send to agent
        </Button>
      )}
      <Menu
        trigger={
          <IconButton label="More about the diff" size="small">
            <MoreHorizontal size={16} />
          </IconButton>
        }
        entries={[{ label: "Download as a patch", run: onDownload, isDisabled: files.length === 0 }]}
      />
    </>
  );
}
