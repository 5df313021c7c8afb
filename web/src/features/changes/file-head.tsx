/** The head of a file: its name, the kind of its change, and its actions. */
import { Copy, MoreHorizontal } from "lucide-react";
import type { ReactNode } from "react";
import { isMac } from "../../browser/platform.ts";
import { keysOf } from "../../core/keymap.ts";
import { named } from "../../core/text.ts";
import { IconButton } from "../../ui/button.tsx";
import { LineCounts } from "../../ui/changes.tsx";
import { Check } from "../../ui/field.tsx";
import { Menu } from "../../ui/menu.tsx";
import { say, sayError } from "../../ui/toast.tsx";
import type { DiffItem } from "../../wire/types.ts";
import { letterOf, WORDS } from "./file-kind.ts";
import style from "./file-view.module.css";

export type FileHeadProps = {
  readonly item: DiffItem;
  readonly isViewed: boolean;
  readonly onViewed: (isViewed: boolean) => void;
  readonly onOpenFile: (file: string) => void;
};

export async function copyPath(path: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(path);
    say("The path is copied");
  } catch {
    sayError("The browser does not let the page copy", named(path));
  }
}

export function FileHead({ item, isViewed, onViewed, onOpenFile }: FileHeadProps): ReactNode {
  const keys = keysOf("file.viewed", isMac)[0];
  const letter = letterOf(item);
  return (
    <header className={style.head}>
      <h2 className={style.name} title={named(item.file)}>
        <bdi>{named(item.file)}</bdi>
      </h2>
      <IconButton label="Copy the path" size="small" onClick={() => void copyPath(item.file)}>
        <Copy size={14} />
      </IconButton>
      <span className={style.status}>{WORDS[letter]}</span>
      {!item.isBinary && <LineCounts additions={item.additions} deletions={item.deletions} />}
      <span className={style.gap} />
      <span title={`Mark the file as viewed (${keys ?? ""})`}>
        <Check label="Viewed" checked={isViewed} onChange={onViewed} />
      </span>
      <Menu
        trigger={
          <IconButton label="More about the file" size="small">
            <MoreHorizontal size={16} />
          </IconButton>
        }
        entries={[
          { label: "Open in the Files tab", run: () => onOpenFile(item.file), isDisabled: item.status === "deleted" },
          { label: "Copy the path", run: () => void copyPath(item.file) },
        ]}
      />
    </header>
  );
}
