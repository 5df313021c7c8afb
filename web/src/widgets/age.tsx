/** How long ago something was, in one unit; the exact time on hover. */
import type { ReactNode } from "react";
import { age } from "../core/text.ts";
import { useNow } from "../state/clock.ts";

export function Age(props: { readonly at: string; readonly className?: string | undefined }): ReactNode {
  return (
    <time dateTime={props.at} title={new Date(props.at).toLocaleString()} className={props.className}>
      {age(Date.parse(props.at), useNow())}
    </time>
  );
}
