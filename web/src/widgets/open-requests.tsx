/** The open requests of a session, to be answered in place. */
import type { ReactNode } from "react";
import { useFleet } from "../state/context.tsx";
import { useCell } from "../state/store.ts";
import type { InboxItem } from "../wire/types.ts";
import { useHeldItems } from "./held-items.ts";
import style from "./open-requests.module.css";
import { RequestForm } from "./request-form.tsx";

type OpenRequestsProps = {
  readonly sessionId: string;
  readonly className: string | undefined;
  readonly isShown?: (request: NonNullable<InboxItem["request"]>) => boolean;
  /** Whether the keys of the inbox answer the first one. */
  readonly hasKeys?: boolean;
};

export function OpenRequests({ sessionId, className, isShown, hasKeys }: OpenRequestsProps): ReactNode {
  const items = useCell(useFleet().inbox.items).filter(
    ({ sessionId: of, request }) => of === sessionId && request !== null && (isShown?.(request) ?? true),
  );
  const [held, listeners] = useHeldItems(items);
  // Below the last open one, nothing has to keep its place.
  const shown = held.slice(0, held.findLastIndex(each => !each.isGone) + 1);
  if (shown.length === 0) return null;
  return (
    <div className={style.list} {...listeners}>
      {shown.map(({ item, isGone }) =>
        item.request === null ? null : (
          <section
            key={item.id}
            className={className}
            aria-label={item.kind === "question" ? "Question" : "Permission"}
          >
            <RequestForm
              sessionId={sessionId}
              request={item.request}
              isOver={isGone}
              hasKeys={item === items[0] ? hasKeys : undefined}
            />
          </section>
        ),
      )}
    </div>
  );
}
