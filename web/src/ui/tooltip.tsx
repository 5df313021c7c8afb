/** A tooltip with the name of a control and its keys. */
import { Tooltip } from "@base-ui/react/tooltip";
import type { ReactElement, ReactNode } from "react";
import { Keys } from "./keys.tsx";
import style from "./tooltip.module.css";

export const TipProvider = Tooltip.Provider;

export function Tip(props: {
  readonly text: string;
  readonly keys?: string | undefined;
  readonly children: ReactElement;
}): ReactNode {
  return (
    <Tooltip.Root>
      <Tooltip.Trigger render={props.children} />
      <Tooltip.Portal>
        <Tooltip.Positioner sideOffset={6}>
          <Tooltip.Popup className={style.popup}>
            {props.text}
            {props.keys && <Keys keys={props.keys} />}
          </Tooltip.Popup>
        </Tooltip.Positioner>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}
