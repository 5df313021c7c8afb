/** Keys as they are pressed, with a blank between the steps of a sequence. */
import type { ReactNode } from "react";
import { cx } from "./cx.ts";
import style from "./keys.module.css";

type KeysProps = {
  readonly keys: string;
  /** Whether the keys work now. If not, they keep their space, so that nothing moves under the pointer. */
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
