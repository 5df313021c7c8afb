/** How long ago something was, in one unit; the exact time on hover. */
import type { ReactNode } from "react";
import { age } from "../core/text.ts";
import { moment } from "../core/times.ts";
import { useNow } from "../state/clock.ts";

export function Age(props: { readonly at: string; readonly className?: string | undefined }): ReactNode {
  return (
    <time dateTime={props.at} title={moment(props.at)} className={props.className}>
      {age(Date.parse(props.at), useNow())}
    </time>
  );
}
