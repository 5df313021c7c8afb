/** The Diffs tab: what a session has changed, file by file, and the review that goes back to its agent. */
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type ReactNode, useCallback, useMemo, useRef, useState } from "react";
import type { Spot } from "../../core/hunks.ts";
import { unsent } from "../../core/review.ts";
import { counted, plain } from "../../core/text.ts";
import { filesOf, treeOf } from "../../core/tree.ts";
import { useActions } from "../../state/actions.ts";
import { useMayChange } from "../../state/context.tsx";
import { useTurnItems } from "../../state/session.ts";
import { line, said } from "../../state/trouble.ts";
import { Button } from "../../ui/button.tsx";
import { Empty, Loading, ProblemCard } from "../../ui/states.tsx";
import { say, sayError } from "../../ui/toast.tsx";
import type { DiffItem } from "../../wire/types.ts";
import { type Listed, type Scope, signatureOf, useList } from "./data.ts";
import { makePatch, saveAs } from "./download.ts";
import { FileTree } from "./file-tree.tsx";
import { FileView } from "./file-view.tsx";
import style from "./panel.module.css";
import { ReviewDialog } from "./review-dialog.tsx";
import { useReview } from "./review-store.ts";
import { Side } from "./side.tsx";
import { Toolbar } from "./toolbar.tsx";
import { useIgnoreBlanks, useView } from "./view-settings.ts";

type PanelProps = {
  readonly id: string;
  /** A log position: the diff as it was then. */
  readonly at: number | null;
};

export function ChangesPanel({ id, at }: PanelProps): ReactNode {
  const { turn } = useSearch({ from: "/s/$id" });
  const scope: Scope = { id, turn: turn ?? null, at };
  const listed = useList(scope);
  return (
    <section className={style.panel} aria-label="Diffs">
      <News listed={listed} />
      <Body key={id} scope={scope} listed={listed} />
    </section>
  );
}

/** The diff has changed meanwhile: the reader sees the old one until they ask for the new one. */
function News({ listed }: { readonly listed: Listed }): ReactNode {
  return (
    <div role="status">
      {listed.newer > 0 && (
        <div className={style.news}>
          {counted(listed.newer, "file")} changed
          <Button size="small" onClick={listed.showNewer}>
            Show
          </Button>
        </div>
      )}
    </div>
  );
}

function Body({ scope, listed }: { readonly scope: Scope; readonly listed: Listed }): ReactNode {
  const { list, error, retry } = listed;
  const { id, at } = scope;
  const { data: turns = [] } = useTurnItems(id, at);
  const { store, review } = useReview(id);
  const nodes = useMemo(() => treeOf(list?.files ?? []), [list]);
  const files = useMemo(() => filesOf(nodes), [nodes]);
  const viewed = useMemo(
    () => new Set(files.filter(item => review.viewed[item.file] === signatureOf(item)).map(item => item.file)),
    [files, review.viewed],
  );
  const waiting = useMemo(() => unsent(review.comments), [review.comments]);
  const counts = useMemo(() => countsByFile(waiting.map(comment => comment.file)), [waiting]);
  const place = usePlace(files);
  const mayComment = useMayChange() && at === null;
  const [view, setView] = useView();
  const [ignoreBlanks, setIgnoreBlanks] = useIgnoreBlanks();
  const [isReviewing, setReviewing] = useState(false);
  const download = useDownload(id, files);
  const tree = useRef<HTMLDivElement>(null);

  const { item, index } = place;
  const isViewed = item !== undefined && viewed.has(item.file);
  const setViewed = (file: DiffItem, is: boolean): void => store.setViewed(file.file, is ? signatureOf(file) : null);
  useFileActions({ files, index, viewed, open: place.open, toggle: () => item && setViewed(item, !isViewed) });
  useActions([
    view && { id: "diff.split", label: "Split or unified", run: () => setView(view === "split" ? "unified" : "split") },
    { id: "diff.whitespace", label: "Hide or show whitespace", run: () => setIgnoreBlanks(!ignoreBlanks) },
    mayComment &&
      waiting.length > 0 && { id: "review.send", label: "Send the review to the agent", run: () => setReviewing(true) },
  ]);

  const toolbar = (
    <Toolbar
      turns={turns}
      turn={scope.turn}
      onTurn={place.setTurn}
      view={view}
      onView={setView}
      ignoreBlanks={ignoreBlanks}
      onIgnoreBlanks={setIgnoreBlanks}
      files={files}
      viewed={viewed.size}
      waiting={waiting.length}
      onReview={mayComment ? () => setReviewing(true) : null}
      onDownload={download}
    />
  );
  const dialog = isReviewing && (
    <ReviewDialog id={id} files={files} comments={review.comments} store={store} onClose={() => setReviewing(false)} />
  );
  if (error !== null)
    return (
      <div className={style.padded}>
        <ProblemCard trouble={said(error, "The diff")} retry={retry} />
      </div>
    );
  if (list === null) return <Loading what="the changes" bars={8} />;
  return (
    <>
      {toolbar}
      {item === undefined ? (
        <Empty>{scope.turn === null ? "Nothing has changed." : "This turn has changed nothing."}</Empty>
      ) : (
        <div className={style.body}>
          <Side index={index} files={files} open={place.open} box={tree}>
            <FileTree nodes={nodes} selected={item.file} viewed={viewed} comments={counts} onSelect={place.open} />
          </Side>
          <FileView
            key={`${item.file} ${signatureOf(item)}`}
            id={id}
            item={item}
            next={files[index + 1]}
            view={view ?? "unified"}
            ignoreBlanks={ignoreBlanks}
            comments={review.comments.filter(comment => comment.file === item.file)}
            store={store}
            mayComment={mayComment}
            isViewed={isViewed}
            onViewed={is => setViewed(item, is)}
            onOpenFile={place.openInFiles}
            goal={place.goal}
            onLeave={() => tree.current?.querySelector<HTMLElement>('[role="treeitem"][tabindex="0"]')?.focus()}
          />
        </div>
      )}
      {dialog}
    </>
  );
}

function countsByFile(files: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const file of files) counts.set(file, (counts.get(file) ?? 0) + 1);
  return counts;
}

/** The reader's place, which the address names: the file, the line, the turn. */
function usePlace(files: readonly DiffItem[]) {
  const search = useSearch({ from: "/s/$id" });
  const navigate = useNavigate({ from: "/s/$id" });
  const found = files.findIndex(item => item.file === search.file);
  const index = Math.max(0, found);
  const line = found >= 0 ? search.line : undefined;
  const goal = useMemo(() => spotOf(line), [line]);
  const open = useCallback(
    (file: string) => {
      void navigate({ search: ({ line: _, ...old }) => ({ ...old, file }), replace: true });
    },
    [navigate],
  );
  const setTurn = (turn: string | null): void => {
    void navigate({ search: ({ turn: _, line: __, ...old }) => (turn === null ? old : { ...old, turn }) });
  };
  const openInFiles = (file: string): void => {
    void navigate({ search: ({ line: _, ...old }) => ({ ...old, tab: "files", file }) });
  };
  return { item: files[index], index, goal, open, setTurn, openInFiles };
}

/** Return the spot that an address names: `12`, or `b12` for a line as it was before. */
function spotOf(line: string | undefined): Spot | null {
  const [, before, number] = /^(b?)(\d{1,7})$/.exec(line ?? "") ?? [];
  return number === undefined ? null : { side: before ? "before" : "after", line: Number(number) };
}

type FileActions = {
  readonly files: readonly DiffItem[];
  readonly index: number;
  readonly viewed: ReadonlySet<string>;
  readonly open: (file: string) => void;
  readonly toggle: () => void;
};

function useFileActions({ files, index, viewed, open, toggle }: FileActions): void {
  const go = (by: number): void => {
    const item = files[index + by];
    if (item) open(item.file);
  };
  const goUnviewed = (by: 1 | -1): void => {
    const ahead = files.map((_, step) => files[(index + by * (step + 1) + files.length) % files.length]);
    const item = ahead.find(each => each && !viewed.has(each.file));
    if (item) open(item.file);
    else say("All files are viewed");
  };
  const isThere = files.length > 0;
  useActions([
    isThere && { id: "file.next", label: "Next file", run: () => go(1) },
    isThere && { id: "file.previous", label: "Previous file", run: () => go(-1) },
    isThere && { id: "file.next-unviewed", label: "Next file not viewed", run: () => goUnviewed(1) },
    isThere && { id: "file.previous-unviewed", label: "Previous file not viewed", run: () => goUnviewed(-1) },
    isThere && { id: "file.viewed", label: "Mark the file as viewed", run: toggle },
  ]);
}

function useDownload(id: string, files: readonly DiffItem[]): () => void {
  const queries = useQueryClient();
  const download = async (): Promise<void> => {
    try {
      const { text, leftOut } = await makePatch(queries, id, files);
      if (text !== "") saveAs(`${id}.patch`, text);
      if (leftOut.length > 0)
        sayError(`${counted(leftOut.length, "file")} not in the patch`, `Binary or too large: ${named(leftOut)}.`);
    } catch (error) {
      sayError("The patch cannot be created", line(error));
    }
  };
  return () => void download();
}

function named(files: readonly string[]): string {
  const some = files.slice(0, 5).map(plain).join(", ");
  return files.length > 5 ? `${some} and ${files.length - 5} more` : some;
}
