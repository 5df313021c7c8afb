/** Panels of other features in a session. The app provides them, because features do not import each other. */
import type { ComponentType } from "react";

type Travel = (at: number | null) => void;

export type Panels = {
  readonly diffs: ComponentType<{ readonly id: string; readonly at: number | null }>;
  readonly log: ComponentType<{ readonly id: string; readonly at: number | null }>;
  readonly time: ComponentType<{ readonly id: string; readonly at: number | null; readonly onChange: Travel }>;
};
