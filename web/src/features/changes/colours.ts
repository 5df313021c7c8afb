/** Colours of code in a diff. Until they are known, and for what has none, the text is plain. */
import type { Compared } from "../../core/line-diff.ts";
import type { DiffItem } from "../../wire/types.ts";
import type { Colours } from "./slice.tsx";

const NONE: Colours = () => [];

export function useColours(_item: DiffItem, _diff: Compared): Colours {
  return NONE;
}
