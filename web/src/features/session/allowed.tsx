/** What a session does not ask for any more: a person answered `always`, here or in another session of the directory. */
import type { ReactNode } from "react";
import { oneLine } from "../../core/text.ts";
import { SessionLink } from "../../widgets/session-link.tsx";
import type { SessionDetail } from "../../wire/api.ts";
import style from "./header.module.css";

const SHARING_MAX = 5;

export function Allowed({ detail }: { readonly detail: SessionDetail | undefined }): ReactNode {
  if (detail === undefined || detail.allowed.length === 0) return null;
  const kinds = [...new Set(detail.allowed.map(each => oneLine(each.permission, 40)))];
  return (
    <details className={style.allowed}>
      <summary>Not asked for any more: {oneLine(kinds.join(", "), 120)}</summary>
      <ul>
        {detail.allowed.map(each => (
          <li key={`${each.requestId} ${each.permission}`}>
            {oneLine(each.permission, 40)} <code>{oneLine(each.patterns.join(", "))}</code>: answered with “always” in{" "}
            {each.sessionId === detail.id ? "this session" : <SessionLink id={each.sessionId} hasMark={false} />}
          </li>
        ))}
      </ul>
      <p>This holds for every session in the directory, until its OpenCode process ends.</p>
      <Sharing ids={detail.sharing} />
    </details>
  );
}

function Sharing({ ids }: { readonly ids: readonly string[] }): ReactNode {
  if (ids.length === 0) return null;
  const left = ids.length - SHARING_MAX;
  return (
    <p>
      Also not asked:{" "}
      {ids.slice(0, SHARING_MAX).map((id, index) => (
        <span key={id}>
          {index > 0 && ", "}
          <SessionLink id={id} hasMark={false} />
        </span>
      ))}
      {left > 0 && ` and ${left} more`}
    </p>
  );
}
