/** The review of a session: its comments and viewed marks, kept in this browser. */
import { useEffect, useMemo } from "react";
import { onReviewElsewhere, readReview, reviewedSessions, writeReview } from "../../browser/reviews.ts";
import { type Anchor, COMMENTS_MAX, type Comment, decodeReview, NO_REVIEW, type Review } from "../../core/review.ts";
import { isErased } from "../../state/queries.ts";
import { Cell, useCell } from "../../state/store.ts";

const VIEWED_MAX = 5_000;

export class ReviewStore {
  readonly review: Cell<Review>;
  readonly #sessionId: string;

  constructor(sessionId: string) {
    this.#sessionId = sessionId;
    this.review = new Cell(decodeReview(readReview(sessionId)), null);
  }

  readonly reload = (): void => this.review.set(decodeReview(readReview(this.#sessionId)));

  /** Begin a comment. Return its id, null where there are too many. A new comment that stays empty is discarded. */
  begin(file: string, anchor: Anchor): string | null {
    const comments = this.review.get().comments.filter(each => each.text !== "" || each.draft !== "");
    if (comments.length >= COMMENTS_MAX) return null;
    const id = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;
    const fresh = { id, file, ...anchor, text: "", draft: "", atMs: Date.now(), state: "open", sentMs: null } as const;
    this.#setComments([...comments, fresh]);
    return id;
  }

  /** Keep the draft of a comment; null returns to the saved text, and discards a comment that was never saved. */
  setDraft(id: string, draft: string | null): void {
    const comment = this.review.get().comments.find(each => each.id === id);
    if (comment?.text === "" && draft === null) this.remove(id);
    else this.#change(id, { draft });
  }

  /** Save the draft. The agent has not read it: it counts as not sent. */
  save(id: string): void {
    const comment = this.review.get().comments.find(each => each.id === id);
    const text = comment?.draft?.trim() ?? "";
    if (text === "") this.setDraft(id, null);
    else this.#change(id, { text, draft: null, state: "open", sentMs: null });
  }

  setState(id: string, state: "open" | "resolved"): void {
    this.#change(id, { state });
  }

  remove(id: string): void {
    this.#setComments(this.review.get().comments.filter(each => each.id !== id));
  }

  /** Restore a removed comment. */
  restore(comment: Comment): void {
    this.#setComments([...this.review.get().comments, comment]);
  }

  markSent(ids: ReadonlySet<string>): void {
    const sent = { state: "sent", sentMs: Date.now() } as const;
    this.#setComments(this.review.get().comments.map(each => (ids.has(each.id) ? { ...each, ...sent } : each)));
  }

  /** Mark a file as viewed as it is (`as`), or as not viewed (null). */
  setViewed(file: string, as: string | null): void {
    const review = this.review.get();
    const others = Object.entries(review.viewed).filter(([each]) => each !== file);
    const viewed = Object.fromEntries([...others, ...(as === null ? [] : [[file, as]])].slice(-VIEWED_MAX));
    this.#set({ ...review, viewed });
  }

  #change(id: string, change: Partial<Comment>): void {
    this.#setComments(this.review.get().comments.map(each => (each.id === id ? { ...each, ...change } : each)));
  }

  #setComments(comments: readonly Comment[]): void {
    this.#set({ ...this.review.get(), comments });
  }

  #set(review: Review): void {
    this.review.set(review);
    const isNothing = review.comments.length === 0 && Object.keys(review.viewed).length === 0;
    writeReview(this.#sessionId, isNothing ? null : JSON.stringify(review));
  }
}

const stores = new Map<string, ReviewStore>();

function storeOf(sessionId: string): ReviewStore {
  const store = stores.get(sessionId) ?? new ReviewStore(sessionId);
  stores.set(sessionId, store);
  return store;
}

/** Return a session's review with its store; renders with each change of it, in other tabs too. */
export function useReview(sessionId: string): { readonly store: ReviewStore; readonly review: Review } {
  const store = useMemo(() => storeOf(sessionId), [sessionId]);
  const review = useCell(store.review);
  useEffect(() => {
    void sweepOnce(sessionId);
    return onReviewElsewhere(changed => changed === sessionId && store.reload());
  }, [store, sessionId]);
  return { store, review };
}

const SWEEP_MAX = 50;
let isSwept = false;

/** Remove the reviews of sessions that are erased: once after each load of the page, a few at a time. */
async function sweepOnce(openId: string): Promise<void> {
  if (isSwept) return;
  isSwept = true;
  for (const id of reviewedSessions().slice(0, SWEEP_MAX)) {
    if (id === openId || !(await isErased(id))) continue;
    writeReview(id, null);
    stores.get(id)?.review.set(NO_REVIEW);
  }
}
