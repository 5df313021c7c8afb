/** Switches desktop notifications on and off, and says where the browser does not allow them. */
import { type ReactNode, useState } from "react";
import { notifyState, setNotify } from "../../browser/notify.ts";
import { Check } from "../../ui/field.tsx";

export function NotifySwitch(): ReactNode {
  const [state, setState] = useState(notifyState);
  if (state === "unsupported") return null;
  if (state === "blocked") return <span>The browser blocks notifications of this page.</span>;
  return (
    <Check
      label="Notify me when this tab is hidden"
      checked={state === "on"}
      onChange={isOn => void setNotify(isOn).then(setState)}
    />
  );
}
