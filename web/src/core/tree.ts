/** Files as a tree of folders, with sums. A folder that holds only one other folder shares a line with it. */

export type Counted = { readonly file: string; readonly additions: number; readonly deletions: number };

export type FileNode<Item extends Counted> = {
  readonly kind: "file";
  readonly name: string;
  readonly path: string;
  readonly item: Item;
};

export type FolderNode<Item extends Counted> = {
  readonly kind: "folder";
  /** One or more steps of the path: `src/core`. */
  readonly name: string;
  readonly path: string;
  readonly additions: number;
  readonly deletions: number;
  readonly files: number;
  readonly children: readonly TreeNode<Item>[];
};

export type TreeNode<Item extends Counted> = FileNode<Item> | FolderNode<Item>;

type Draft<Item extends Counted> = { readonly folders: Map<string, Draft<Item>>; readonly files: FileNode<Item>[] };

/** Return the files as a tree: folders first, then files, each by name. */
export function treeOf<Item extends Counted>(items: readonly Item[]): readonly TreeNode<Item>[] {
  const root: Draft<Item> = { folders: new Map(), files: [] };
  for (const item of items) {
    const steps = item.file.split("/");
    const name = steps.pop() ?? item.file;
    let draft = root;
    for (const step of steps) {
      const next: Draft<Item> = draft.folders.get(step) ?? { folders: new Map(), files: [] };
      draft.folders.set(step, next);
      draft = next;
    }
    draft.files.push({ kind: "file", name, path: item.file, item });
  }
  return childrenOf(root, "");
}

function childrenOf<Item extends Counted>(draft: Draft<Item>, prefix: string): readonly TreeNode<Item>[] {
  const folders = [...draft.folders].map(([name, each]) => folderOf(name, each, prefix));
  return [...folders.sort(byName), ...[...draft.files].sort(byName)];
}

function folderOf<Item extends Counted>(first: string, draft: Draft<Item>, prefix: string): FolderNode<Item> {
  let name = first;
  let inner = draft;
  for (;;) {
    const [only, ...others] = inner.folders;
    if (only === undefined || others.length > 0 || inner.files.length > 0) break;
    name = `${name}/${only[0]}`;
    inner = only[1];
  }
  const path = `${prefix}${name}`;
  const children = childrenOf(inner, `${path}/`);
  return { kind: "folder", name, path, children, ...sums(children) };
}

function sums<Item extends Counted>(children: readonly TreeNode<Item>[]) {
  let additions = 0;
  let deletions = 0;
  let files = 0;
  for (const child of children) {
    const counts = child.kind === "file" ? child.item : child;
    additions += counts.additions;
    deletions += counts.deletions;
    files += child.kind === "file" ? 1 : child.files;
  }
  return { additions, deletions, files };
}

/** Compare names with numbers by value, `a2` before `a10`; the order is the same on every machine. */
const collator = new Intl.Collator("en", { numeric: true });

function byName(one: { readonly name: string }, other: { readonly name: string }): number {
  return collator.compare(one.name, other.name) || (one.name < other.name ? -1 : 1);
}

export type TreeRow<Item extends Counted> = {
  readonly node: TreeNode<Item>;
  /** 1 for the outermost. */
  readonly level: number;
  /** Its place among its siblings, from 1. */
  readonly place: number;
  readonly siblings: number;
  readonly isOpen: boolean;
};

/** Return the visible rows: those in `closed` folders (by path) are left out. */
export function rowsOf<Item extends Counted>(
  nodes: readonly TreeNode<Item>[],
  closed: ReadonlySet<string>,
): readonly TreeRow<Item>[] {
  const rows: TreeRow<Item>[] = [];
  const add = (siblings: readonly TreeNode<Item>[], level: number): void => {
    siblings.forEach((node, index) => {
      const isOpen = node.kind === "folder" && !closed.has(node.path);
      rows.push({ node, level, place: index + 1, siblings: siblings.length, isOpen });
      if (isOpen) add(node.children, level + 1);
    });
  };
  add(nodes, 1);
  return rows;
}

/** Return all files in the order of the tree. */
export function filesOf<Item extends Counted>(nodes: readonly TreeNode<Item>[]): readonly Item[] {
  return nodes.flatMap(node => (node.kind === "file" ? [node.item] : filesOf(node.children)));
}

/** Return the paths of the folders above a file. */
export function foldersAbove(file: string): readonly string[] {
  const steps = file.split("/").slice(0, -1);
  return steps.map((_, index) => steps.slice(0, index + 1).join("/"));
}
