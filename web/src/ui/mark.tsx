/** A status as shape, word and colour: each of the three is enough to recognise it. */
import type { ReactNode } from "react";
import { cx } from "./cx.ts";
import style from "./mark.module.css";

type Tone = "working" | "starting" | "needs" | "idle" | "done" | "error" | "away";
export type Look = { readonly shape: string; readonly word: string; readonly tone: Tone };

export function Mark(props: Look & { readonly isShort?: boolean }): ReactNode {
  return (
    <span className={cx(style.mark, style[props.tone])}>
      <span aria-hidden className={style.shape}>
        {props.shape}
      </span>
      <span className={props.isShort ? "visually-hidden" : undefined}>{props.word}</span>
    </span>
  );
}
