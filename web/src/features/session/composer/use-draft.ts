/** The draft of a session: saved at each input, also if the page is closed at once. */
import { useCallback, useEffect, useRef, useState } from "react";
import { type Draft, NO_DRAFT, openDrafts, readDraft, sweepDrafts, writeDraft } from "../../../browser/drafts.ts";
import { isErased } from "../../../state/queries.ts";

const SAVE_AFTER_MS = 150;

export type DraftState = {
  readonly draft: Draft;
  readonly change: (changes: Partial<Draft>) => void;
  /** A sent prompt leaves the box; the choice of agent and model stays. */
  readonly clear: () => void;
};

export function useDraft(sessionId: string): DraftState {
  const [draft, setDraft] = useState<Draft>(NO_DRAFT);
  const newest = useRef<Draft>(NO_DRAFT);
  const isTouched = useRef(false);
  const due = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);

  const save = useCallback(() => {
    clearTimeout(due.current);
    if (isTouched.current) void writeDraft(sessionId, newest.current);
  }, [sessionId]);

  useEffect(() => {
    void openDrafts();
    void sweepDrafts(isErased);
    void readDraft(sessionId).then(kept => {
      // A text that was typed meanwhile is newer.
      if (isTouched.current) return;
      newest.current = kept;
      setDraft(kept);
    });
    const hidden = () => document.visibilityState === "hidden" && save();
    window.addEventListener("pagehide", save);
    document.addEventListener("visibilitychange", hidden);
    return () => {
      window.removeEventListener("pagehide", save);
      document.removeEventListener("visibilitychange", hidden);
      save();
    };
  }, [sessionId, save]);

  const change = useCallback(
    (changes: Partial<Draft>) => {
      isTouched.current = true;
      newest.current = { ...newest.current, ...changes };
      setDraft(newest.current);
      clearTimeout(due.current);
      due.current = setTimeout(save, SAVE_AFTER_MS);
    },
    [save],
  );

  const clear = useCallback(() => {
    change({ text: "", files: [] });
    save();
  }, [change, save]);

  return { draft, change, clear };
}
