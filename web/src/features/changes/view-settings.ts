/** How this browser shows diffs: split or unified, with or without white space. */
import { useEffect, useState } from "react";
import { readSetting, writeSetting } from "../../browser/storage.ts";
import type { View } from "../../core/hunks.ts";

/** Below this there is no room for two columns of code. */
const NARROW = "(max-width: 900px)";

/** Return the layout, null where there is room for one column alone. */
export function useView(): readonly [View | null, (view: View) => void] {
  const [view, setView] = useState<View>(() => (readSetting("diff.view") === "unified" ? "unified" : "split"));
  const [isNarrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => {
    const query = matchMedia(NARROW);
    const follow = (): void => setNarrow(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);
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
