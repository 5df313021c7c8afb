/** A line across the transcript for an event between two messages. */
import type { ReactNode } from "react";
import { cx } from "../../../ui/cx.ts";
import style from "./rows.module.css";

type DividerProps = { readonly children: ReactNode; readonly tone?: "quiet" | "error" };

export function Divider({ children, tone = "quiet" }: DividerProps): ReactNode {
  return <div className={cx(style.divider, tone === "error" && style.dividerError)}>{children}</div>;
}
