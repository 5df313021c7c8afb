/** Keys as they are pressed: a blank stands between the steps of a sequence. */
import type { ReactNode } from "react";
import style from "./keys.module.css";

export function Keys(props: { readonly keys: string }): ReactNode {
  return (
    <span className={style.keys}>
      {props.keys.split(" ").map((press, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a sequence never changes its order
        <kbd key={index} className={style.key}>
          {press}
        </kbd>
      ))}
    </span>
  );
}
