/** A small label, and a count that draws attention. */
import type { ReactNode } from "react";
import style from "./badge.module.css";
import { cx } from "./cx.ts";

export function Badge(props: { readonly children: ReactNode; readonly title?: string }): ReactNode {
  return (
    <span className={style.badge} title={props.title}>
      {props.children}
    </span>
  );
}

export function CountBadge(props: { readonly count: number; readonly label: string }): ReactNode {
  if (props.count === 0) return null;
  return (
    <span className={cx(style.badge, style.count)}>
      {props.count}
      <span className="visually-hidden"> {props.label}</span>
    </span>
  );
}
