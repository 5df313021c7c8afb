/** A tree of files whose directories are read when they are opened; arrows move and open, as in any tree. */
import { ChevronDown, ChevronRight } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useRef, useState } from "react";
import { counted, named } from "../../../core/text.ts";
import { useFile } from "../../../state/session.ts";
import { said } from "../../../state/trouble.ts";
import { cx } from "../../../ui/cx.ts";
import type { FileEntryItem } from "../../../wire/api.ts";
import { useOpen } from "../open.tsx";
import style from "./files.module.css";

type FileTreeProps = { readonly open: (path: string) => void; readonly opened: string | null };

export function FileTree({ open, opened }: FileTreeProps): ReactNode {
  const root = useRef<HTMLDivElement>(null);

  function onKeyDown(event: KeyboardEvent): void {
    const rows = [...(root.current?.querySelectorAll<HTMLElement>("[role=treeitem]") ?? [])];
    const at = rows.indexOf(document.activeElement as HTMLElement);
    const row = rows[at];
    const move = (to: HTMLElement | undefined) => to?.focus();
    if (event.key === "ArrowDown") move(rows[at + 1]);
    else if (event.key === "ArrowUp") move(rows[at - 1]);
    else if (event.key === "Home") move(rows[0]);
    else if (event.key === "End") move(rows.at(-1));
    else if (event.key === "ArrowRight" && row?.getAttribute("aria-expanded") === "false") row.click();
    else if (event.key === "ArrowRight") move(rows[at + 1]);
    else if (event.key === "ArrowLeft" && row?.getAttribute("aria-expanded") === "true") row.click();
    else if (event.key === "ArrowLeft")
      move(rows.findLast((each, index) => index < at && levelOf(each) < levelOf(row)));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    <div ref={root} className={style.tree} role="tree" aria-label="Files" onKeyDown={onKeyDown}>
      <Directory path="" level={1} open={open} opened={opened} />
    </div>
  );
}

function levelOf(row: HTMLElement | undefined): number {
  return Number(row?.getAttribute("aria-level") ?? 0);
}

type DirectoryProps = FileTreeProps & { readonly path: string; readonly level: number };

function Directory({ path, level, open, opened }: DirectoryProps): ReactNode {
  const { item, at } = useOpen();
  const { data, error, refetch } = useFile(item.id, path, at);
  if (error) {
    const { title, detail } = said(error, "The directory");
    return <Note level={level} text={`${detail ?? title} Try again`} act={() => void refetch()} />;
  }
  if (data === undefined) return <Note level={level} text="loading" />;
  const entries = data.entries ?? [];
  const missing = (data.total ?? entries.length) - entries.length;
  return (
    <>
      {entries.map((entry, index) => (
        <Entry
          key={entry.path}
          entry={entry}
          level={level}
          isFirst={level === 1 && index === 0}
          open={open}
          opened={opened}
        />
      ))}
      {entries.length === 0 && <Note level={level} text="empty" />}
      {missing > 0 && <p className={style.note}>{counted(missing, "more entry", "more entries")}, not listed</p>}
    </>
  );
}

type NoteProps = { readonly level: number; readonly text: string; readonly act?: () => void };

/** A word among the entries: a tree has nothing but items. */
function Note({ level, text, act }: NoteProps): ReactNode {
  return (
    <div
      role="treeitem"
      aria-level={level}
      aria-selected={false}
      tabIndex={-1}
      className={cx(style.entry, style.note)}
      style={{ paddingLeft: indent(level) }}
      onClick={act}
      onKeyDown={event => event.key === "Enter" && act?.()}
    >
      {text}
    </div>
  );
}

function indent(level: number): number {
  return 4 + (level - 1) * 14;
}

type EntryProps = FileTreeProps & { readonly entry: FileEntryItem; readonly level: number; readonly isFirst: boolean };

function Entry({ entry, level, isFirst, open, opened }: EntryProps): ReactNode {
  const isDirectory = entry.type === "directory";
  const [isOpen, setOpen] = useState(opened?.startsWith(`${entry.path}/`) ?? false);
  const isChosen = opened === entry.path;
  const Icon = isOpen ? ChevronDown : ChevronRight;
  const act = () => (isDirectory ? setOpen(!isOpen) : open(entry.path));
  return (
    <>
      <div
        role="treeitem"
        tabIndex={isChosen || isFirst ? 0 : -1}
        aria-level={level}
        aria-expanded={isDirectory ? isOpen : undefined}
        aria-selected={isChosen}
        className={cx(style.entry, isChosen && style.chosen)}
        style={{ paddingLeft: indent(level) }}
        onClick={act}
        onKeyDown={event => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          act();
        }}
      >
        {isDirectory ? <Icon size={13} aria-hidden /> : <span className={style.noIcon} />}
        <span className={style.name}>
          {named(entry.name)}
          {entry.type === "symlink" && " →"}
        </span>
      </div>
      {isOpen && <Directory path={entry.path} level={level + 1} open={open} opened={opened} />}
    </>
  );
}
