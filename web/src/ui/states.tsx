/** The pictures of the states loading, empty and failed, which look different. */
import { type ReactNode, useEffect, useState } from "react";
import { Button } from "./button.tsx";
import style from "./states.module.css";

const QUIET_MS = 150;

/** Bars in place of content that is loading. They appear after 150 ms, so that a fast load does not flicker. */
export function Loading(props: { readonly what: string; readonly bars?: number }): ReactNode {
  const [isShown, show] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => show(true), QUIET_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div role="status" className={style.bars}>
      <span className="visually-hidden">Loading {props.what}</span>
      {isShown &&
        Array.from({ length: props.bars ?? 5 }, (_, index) => index).map(index => (
          <div key={index} className={style.bar} />
        ))}
    </div>
  );
}

/** One sentence, and one action that helps. */
export function Empty(props: { readonly children: ReactNode; readonly act?: ReactNode }): ReactNode {
  return (
    <div className={style.centre}>
      <p>{props.children}</p>
      {props.act}
    </div>
  );
}

export type Trouble = {
  readonly title: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly code?: string | undefined;
};

/** The error in the server's own words, and a button to retry. */
export function ProblemCard(props: { readonly trouble: Trouble; readonly retry?: () => void }): ReactNode {
  const { title, detail, hint, code } = props.trouble;
  return (
    <div role="alert" className={style.problem}>
      <strong>{title}</strong>
      {detail && <span>{detail}</span>}
      {hint && <span>{hint}</span>}
      {code && <span className={style.code}>{code}</span>}
      {props.retry && (
        <div className={style.acts}>
          <Button size="small" onClick={props.retry}>
            Try again
          </Button>
        </div>
      )}
    </div>
  );
}
