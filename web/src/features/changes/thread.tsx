/** A comment of the review: its text, and the box in which it is written. */
import { type KeyboardEvent, type ReactNode, useEffect, useRef } from "react";
import { COMMENT_CHARS_MAX, type Comment, type Placed, placeName } from "../../core/review.ts";
import { age, plain } from "../../core/text.ts";
import { useNow } from "../../state/clock.ts";
import { Button } from "../../ui/button.tsx";
import { cx } from "../../ui/cx.ts";
import { say } from "../../ui/toast.tsx";
import type { ReviewStore } from "./review-store.ts";
import style from "./thread.module.css";

type ThreadProps = {
  readonly placed: readonly Placed[];
  readonly store: ReviewStore;
  readonly mayComment: boolean;
  /** The comment whose box was opened just now: it takes the focus. */
  readonly fresh: string | null;
  /** A box was closed: the focus returns to the lines. */
  readonly onClosed: () => void;
  /** Whether each comment names its line, because it is not shown below it. */
  readonly saysPlace?: boolean;
};

/** The comments below a line. */
export function Thread(props: ThreadProps): ReactNode {
  return (
    <div className={style.thread}>
      {props.placed.map(each => (
        <Entry key={each.comment.id} {...props} entry={each} />
      ))}
    </div>
  );
}

function Entry({ entry, ...props }: ThreadProps & { readonly entry: Placed }): ReactNode {
  const { comment, found } = entry;
  return (
    <article className={cx(style.comment, comment.state !== "open" && style.done)} aria-label="Review comment">
      <Head comment={comment} isStale={found === null} saysPlace={props.saysPlace ?? false} />
      {found === null && <Quote lines={comment.quote} />}
      {comment.draft === null || !props.mayComment ? (
        <Said comment={comment} {...props} />
      ) : (
        <Editor comment={comment} draft={comment.draft} {...props} />
      )}
    </article>
  );
}

function Head(props: { readonly comment: Comment; readonly isStale: boolean; readonly saysPlace: boolean }): ReactNode {
  const { comment, isStale, saysPlace } = props;
  const lines = comment.from === comment.to ? null : `lines ${comment.from} to ${comment.to}`;
  return (
    <header className={style.head}>
      <strong>You</strong>
      {saysPlace ? <code>{plain(placeName(comment, null))}</code> : lines && <span>{lines}</span>}
      {isStale && <span className={style.stale}>stale: this line has changed</span>}
      {comment.state === "resolved" && <span>resolved</span>}
      {comment.sentMs !== null && <Sent atMs={comment.sentMs} />}
    </header>
  );
}

function Sent(props: { readonly atMs: number }): ReactNode {
  return <span>sent {age(props.atMs, useNow())} ago</span>;
}

function Quote(props: { readonly lines: readonly string[] }): ReactNode {
  return <pre className={style.quote}>{plain(props.lines.join("\n"))}</pre>;
}

function Said({ comment, store, mayComment }: ThreadProps & { readonly comment: Comment }): ReactNode {
  const remove = (): void => {
    store.remove(comment.id);
    say("The comment is deleted", { label: "Undo", run: () => store.restore(comment) });
  };
  const isOpen = comment.state === "open";
  return (
    <>
      <p className={style.text}>{plain(comment.text)}</p>
      {mayComment && (
        <div className={style.acts}>
          <Button size="small" kind="quiet" onClick={() => store.setDraft(comment.id, comment.text)}>
            Edit
          </Button>
          <Button size="small" kind="quiet" onClick={() => store.setState(comment.id, isOpen ? "resolved" : "open")}>
            {isOpen ? "Resolve" : comment.state === "sent" ? "Send again" : "Reopen"}
          </Button>
          <Button size="small" kind="quiet" onClick={remove}>
            Delete
          </Button>
        </div>
      )}
    </>
  );
}

type EditorProps = ThreadProps & { readonly comment: Comment; readonly draft: string };

function Editor({ comment, draft, store, fresh, onClosed }: EditorProps): ReactNode {
  const box = useRef<HTMLTextAreaElement>(null);
  const isFresh = fresh === comment.id;
  useEffect(() => {
    if (isFresh) box.current?.focus({ preventScroll: true });
  }, [isFresh]);
  const save = (): void => {
    store.save(comment.id);
    onClosed();
  };
  const cancel = (): void => {
    store.setDraft(comment.id, null);
    onClosed();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
    // no key discards the text: Escape only leaves the box
    else if (event.key === "Escape") draft === "" ? cancel() : onClosed();
    else return;
    event.preventDefault();
  };
  return (
    <>
      <textarea
        ref={box}
        className={style.box}
        aria-label={`Comment on ${plain(placeName(comment, null))}`}
        placeholder="What should the agent do here?"
        rows={3}
        maxLength={COMMENT_CHARS_MAX}
        value={draft}
        onChange={event => store.setDraft(comment.id, event.target.value)}
        onKeyDown={onKeyDown}
      />
      <div className={style.acts}>
        <Button size="small" kind="primary" onClick={save} disabled={draft.trim() === ""}>
          Save comment
        </Button>
        <Button size="small" kind="quiet" onClick={cancel}>
          Cancel
        </Button>
      </div>
    </>
  );
}
