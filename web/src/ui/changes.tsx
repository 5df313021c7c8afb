/** Added and removed lines, in green and red and with signs. */
import type { ReactNode } from "react";
import style from "./changes.module.css";

export function LineCounts(props: { readonly additions: number; readonly deletions: number }): ReactNode {
  return (
    <span className={style.counts}>
      <span className={style.add}>+{props.additions.toLocaleString("en-US")}</span>{" "}
      <span className={style.del}>−{props.deletions.toLocaleString("en-US")}</span>
    </span>
  );
}
