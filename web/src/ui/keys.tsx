/** Keys as they are pressed: a blank stands between the steps of a sequence. */
import type { ReactNode } from "react";
import { cx } from "./cx.ts";
import style from "./keys.module.css";

type KeysProps = {
  readonly keys: string;
  /** Whether the keys work now. Where they do not, they keep their place, so that nothing moves under a pointer. */
  readonly isOn?: boolean;
};

export function Keys({ keys, isOn = true }: KeysProps): ReactNode {
  return (
    <span className={cx(style.keys, !isOn && style.off)}>
      {keys.split(" ").map((press, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a sequence never changes its order
        <kbd key={index} className={style.key}>
          {press}
        </kbd>
      ))}
    </span>
  );
}
