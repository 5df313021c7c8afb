/** A part of the side panel. */
import type { ReactNode } from "react";
import style from "./side.module.css";

export function Section(props: { readonly title: ReactNode; readonly children: ReactNode }): ReactNode {
  return (
    <section className={style.section}>
      <h2 className={style.heading}>{props.title}</h2>
      {props.children}
    </section>
  );
}
