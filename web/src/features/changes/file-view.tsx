/** One file of the diff: its head, its notes, and its lines. */
import { type ReactNode, useMemo } from "react";
import type { Spot, View } from "../../core/hunks.ts";
import type { Compared } from "../../core/line-diff.ts";
import { type Comment, findAnchor, type Placed } from "../../core/review.ts";
import { counted, named } from "../../core/text.ts";
import { useFleet } from "../../state/context.tsx";
import { said } from "../../state/trouble.ts";
import { Empty, Loading, ProblemCard } from "../../ui/states.tsx";
import type { DiffItem } from "../../wire/types.ts";
import { useColours } from "./colours.ts";
import { hasLines, useCompared } from "./data.ts";
import { FileHead, type FileHeadProps } from "./file-head.tsx";
import { imageType, modeWords } from "./file-kind.ts";
import style from "./file-view.module.css";
import { Images } from "./images.tsx";
import { Lines } from "./lines.tsx";
import type { ReviewStore } from "./review-store.ts";
import { Thread } from "./thread.tsx";

export type FileViewProps = FileHeadProps & {
  readonly id: string;
  /** The next file, which is loaded in advance. */
  readonly next: DiffItem | undefined;
  readonly view: View;
  readonly ignoreBlanks: boolean;
  readonly comments: readonly Comment[];
  readonly store: ReviewStore;
  readonly mayComment: boolean;
  readonly goal: Spot | null;
  readonly onLeave: () => void;
};

export function FileView(props: FileViewProps): ReactNode {
  const { item } = props;
  return (
    <article className={style.file} aria-label={named(item.file)}>
      <FileHead {...props} />
      <Facts item={item} />
      {hasLines(item) ? <Text {...props} /> : <NoText {...props} />}
    </article>
  );
}

/** Notes above the lines about changes that the lines do not show. */
function Facts({ item }: { readonly item: DiffItem }): ReactNode {
  const { fleet } = useFleet();
  const mode = modeWords(item);
  const others = item.overlapsWith.map(id => fleet.sessions.get(id)?.title ?? id);
  return (
    <>
      {item.oldFile && <p className={style.fact}>Renamed from {named(item.oldFile)}.</p>}
      {mode && <p className={style.fact}>Mode: {mode}.</p>}
      {item.isTruncated && (
        <p className={style.fact}>
          This file is too large to be compared as a whole: you see its beginning. The counts are those of all of it.
        </p>
      )}
      {others.length > 0 && (
        <p className={style.warning}>
          {others.length === 1 ? "Another session" : counted(others.length, "other session")} worked here at the same
          time: {named(others.slice(0, 3).join(", "))}. Some of these changes may be theirs.
        </p>
      )}
    </>
  );
}

function NoText({ id, item }: FileViewProps): ReactNode {
  const type = imageType(item.file);
  if (item.isBinary && type && !item.isTruncated) return <Images id={id} item={item} type={type} />;
  if (item.isBinary) return <Empty>This is a binary file. It cannot be shown as text.</Empty>;
  const isEmpty = item.beforeDigest === null || item.afterDigest === null;
  return <Empty>{isEmpty ? "The file is empty." : "The contents of the file are the same."}</Empty>;
}

function Text(props: FileViewProps): ReactNode {
  const { id, item, next, ignoreBlanks } = props;
  const compared = useCompared(id, item, next, ignoreBlanks);
  if (compared.isError)
    return (
      <div className={style.padded}>
        <ProblemCard trouble={said(compared.error, "The file")} retry={() => void compared.refetch()} />
      </div>
    );
  if (compared.data === undefined) return <Loading what="the lines" bars={9} />;
  return <TextLines {...props} diff={compared.data} />;
}

function TextLines(props: FileViewProps & { readonly diff: Compared }): ReactNode {
  const { item, diff, view, comments, store, mayComment, goal, onLeave, ignoreBlanks } = props;
  const colours = useColours(item, diff);
  const placed = useMemo(() => comments.map(comment => placeIn(comment, diff)), [comments, diff]);
  const stale = placed.filter(each => each.found === null);
  if (diff.before.length === 0 && diff.after.length === 0) return <Empty>The file is empty.</Empty>;
  const isSame = diff.runs.every(run => run.add === 0 && run.del === 0);
  return (
    <>
      {diff.isForeign && <p className={style.fact}>The file is not UTF-8. It is shown as Latin-1.</p>}
      {diff.isWhole && (
        <p className={style.fact}>The two sides differ too much to be compared line by line: replaced as a whole.</p>
      )}
      {isSame && ignoreBlanks && <p className={style.fact}>Only whitespace has changed.</p>}
      {stale.length > 0 && (
        <div className={style.stale}>
          <Thread
            placed={stale}
            store={store}
            mayComment={mayComment}
            fresh={null}
            onClosed={() => undefined}
            saysPlace
          />
        </div>
      )}
      <Lines
        file={item.file}
        diff={diff}
        view={view}
        colours={colours}
        placed={placed}
        store={store}
        mayComment={mayComment}
        goal={goal}
        onLeave={onLeave}
      />
    </>
  );
}

/** Find the place of a comment in a diff. */
export function placeIn(comment: Comment, diff: Compared): Placed {
  return { comment, found: findAnchor(comment, diff[comment.side]) };
}
