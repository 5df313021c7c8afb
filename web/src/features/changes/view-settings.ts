/** How this browser shows diffs: split or unified, with or without white space. */
import { useEffect, useState } from "react";
import { readSetting, writeSetting } from "../../browser/storage.ts";
import type { View } from "../../core/hunks.ts";

/** Below this width there is no room for two columns of code. */
const NARROW = "(max-width: 900px)";

/** Below this width there is no room for the tree beside the lines. */
const PHONE = "(max-width: 700px)";

function useMedia(condition: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(condition).matches);
  useEffect(() => {
    const query = matchMedia(condition);
    const follow = (): void => setMatches(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, [condition]);
  return matches;
}

/** Whether the tree of files is shown beside the lines. */
export function useHasSide(): boolean {
  return !useMedia(PHONE);
}

/** Return the layout, null if there is room for one column only. */
export function useView(): readonly [View | null, (view: View) => void] {
  const [view, setView] = useState<View>(() => (readSetting("diff.view") === "unified" ? "unified" : "split"));
  const isNarrow = useMedia(NARROW);
  const choose = (next: View): void => {
    writeSetting("diff.view", next);
    setView(next);
  };
  return [isNarrow ? null : view, choose];
}

export function useIgnoreBlanks(): readonly [boolean, (ignoreBlanks: boolean) => void] {
  const [ignoreBlanks, set] = useState(() => readSetting("diff.whitespace") === "hidden");
  const choose = (next: boolean): void => {
    writeSetting("diff.whitespace", next ? "hidden" : null);
    set(next);
  };
  return [ignoreBlanks, choose];
}
