/** The changed files as a tree, with sums for each folder. */
import { Check, MessageSquare } from "lucide-react";
import { type ReactNode, useMemo, useState } from "react";
import { named } from "../../core/text.ts";
import { foldersAbove, rowsOf, type TreeNode, type TreeRow } from "../../core/tree.ts";
import { LineCounts } from "../../ui/changes.tsx";
import { cx } from "../../ui/cx.ts";
import { Tree, type TreeEntry } from "../../ui/tree.tsx";
import type { DiffItem } from "../../wire/types.ts";
import { letterOf, noCounts, WORDS } from "./file-kind.ts";
import style from "./panel.module.css";

type FileTreeProps = {
  readonly nodes: readonly TreeNode<DiffItem>[];
  readonly selected: string | null;
  readonly viewed: ReadonlySet<string>;
  /** How many comments wait at each file. */
  readonly comments: ReadonlyMap<string, number>;
  readonly onSelect: (file: string) => void;
};

export function FileTree({ nodes, selected, viewed, comments, onSelect }: FileTreeProps): ReactNode {
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const [last, setLast] = useState(selected);
  if (last !== selected) {
    // the tree shows the open file, however it was opened
    setLast(selected);
    const above = new Set(foldersAbove(selected ?? ""));
    setClosed(old => new Set([...old].filter(path => !above.has(path))));
  }
  const entries = useMemo(
    () => rowsOf(nodes, closed).map(row => entryOf(row, viewed, comments)),
    [nodes, closed, viewed, comments],
  );
  return (
    <Tree
      label="Changed files"
      className={style.tree}
      entries={entries}
      selected={selected === null ? null : `file:${selected}`}
      onSelect={key => onSelect(key.slice("file:".length))}
      onToggle={key => setClosed(old => toggled(old, key.slice("folder:".length)))}
    />
  );
}

function toggled(old: ReadonlySet<string>, path: string): ReadonlySet<string> {
  const next = new Set(old);
  if (!next.delete(path)) next.add(path);
  return next;
}

function entryOf(
  row: TreeRow<DiffItem>,
  viewed: ReadonlySet<string>,
  comments: ReadonlyMap<string, number>,
): TreeEntry {
  const { node, isOpen, ...place } = row;
  if (node.kind === "folder") {
    const name = `${named(node.name)}, ${node.additions} added, ${node.deletions} deleted`;
    const content = (
      <>
        <span className={style.folder}>{named(node.name)}</span>
        <LineCounts additions={node.additions} deletions={node.deletions} />
      </>
    );
    return { ...place, key: `folder:${node.path}`, isOpen, name, content };
  }
  const isViewed = viewed.has(node.path);
  const count = comments.get(node.path) ?? 0;
  const content = <FileRow name={node.name} item={node.item} isViewed={isViewed} comments={count} />;
  return { ...place, key: `file:${node.path}`, isOpen: null, name: spoken(node.item, isViewed, count), content };
}

function spoken(item: DiffItem, isViewed: boolean, comments: number): string {
  const counts = noCounts(item) ?? `${item.additions} added, ${item.deletions} deleted`;
  const name = named(item.file.slice(item.file.lastIndexOf("/") + 1));
  return [name, WORDS[letterOf(item)], counts, isViewed && "viewed", comments > 0 && `${comments} comments`]
    .filter(Boolean)
    .join(", ");
}

type FileRowProps = {
  readonly name: string;
  readonly item: DiffItem;
  readonly isViewed: boolean;
  readonly comments: number;
};

function FileRow({ name, item, isViewed, comments }: FileRowProps): ReactNode {
  const letter = letterOf(item);
  const instead = noCounts(item);
  return (
    <>
      <span className={cx(style.letter, style[letter])} title={WORDS[letter]}>
        {letter}
      </span>
      <span className={cx(style.fileName, isViewed && style.viewed)} title={named(item.file)}>
        {named(name)}
      </span>
      {comments > 0 && (
        <span className={style.commentCount}>
          <MessageSquare size={12} aria-hidden /> {comments}
        </span>
      )}
      {isViewed && <Check size={14} aria-hidden className={style.viewedMark} />}
      {instead ? (
        <span className={style.instead}>{instead}</span>
      ) : (
        <LineCounts additions={item.additions} deletions={item.deletions} />
      )}
    </>
  );
}
