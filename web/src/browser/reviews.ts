/**
 * Reviews in localStorage: comments of a person on a session's diffs, until they are sent. One entry a session, of bounded
 * size; if a browser refuses to keep one, it lasts as long as the page.
 */

const PREFIX = "fleet.review.";
/** Browsers keep about 5 MB for a page; drafts and settings need some of it. */
const REVIEW_CHARS_MAX = 500_000;

export function readReview(sessionId: string): string | null {
  try {
    return localStorage.getItem(PREFIX + sessionId);
  } catch {
    return null;
  }
}

/** Keep a review; null removes it. */
export function writeReview(sessionId: string, text: string | null): void {
  if (text !== null && text.length > REVIEW_CHARS_MAX) return;
  try {
    if (text === null) localStorage.removeItem(PREFIX + sessionId);
    else localStorage.setItem(PREFIX + sessionId, text);
  } catch {
    // the review lasts as long as the page
  }
}

/** Return the sessions that have one. */
export function reviewedSessions(): readonly string[] {
  try {
    return Object.keys(localStorage).flatMap(key => (key.startsWith(PREFIX) ? [key.slice(PREFIX.length)] : []));
  } catch {
    return [];
  }
}

/** Remove all reviews. */
export function clearReviews(): void {
  for (const sessionId of reviewedSessions()) writeReview(sessionId, null);
}

/** Listen to changes by other tabs. Return the function that ends this. */
export function onReviewElsewhere(changed: (sessionId: string) => void): () => void {
  const listener = (event: StorageEvent): void => {
    if (event.key?.startsWith(PREFIX)) changed(event.key.slice(PREFIX.length));
  };
  addEventListener("storage", listener);
  return () => removeEventListener("storage", listener);
}
