/** Finds the session, opens its transcript, and provides both to its children. */
import { Link } from "@tanstack/react-router";
import { type ReactNode, useEffect, useMemo } from "react";
import { indexTurns } from "../../core/rows.ts";
import { Refused } from "../../state/commands.ts";
import { useFleet, useIsConnected, useMayChange, useSession } from "../../state/context.tsx";
import { useDetail, useFreshness, useTurnItems } from "../../state/session.ts";
import { useCell } from "../../state/store.ts";
import { transcriptsOf } from "../../state/transcripts.ts";
import { said } from "../../state/trouble.ts";
import { Empty, Loading, ProblemCard } from "../../ui/states.tsx";
import type { SessionDetail } from "../../wire/api.ts";
import type { SessionItem } from "../../wire/types.ts";
import { DialogsProvider } from "./dialogs/dialogs.tsx";
import { type Open, OpenProvider } from "./open.tsx";
import { TurnsProvider } from "./turns.tsx";

export type Tab = "talk" | "diffs" | "files" | "log";

/** Return a position of the address; null where it names none. */
export function positionOf(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

type OpenedProps = {
  readonly id: string;
  readonly at: number | null;
  /** A sub-agent's conversation; the session's own without it. */
  readonly conversation?: string;
  readonly children: (detail: SessionDetail | undefined) => ReactNode;
};

export function Opened({ id, at, conversation, children }: OpenedProps): ReactNode {
  const live = useSession(id);
  const { data: detail, error, refetch } = useDetail(id, at);
  // The fleet view has the newest, of all that have not ended long ago.
  const item: SessionItem | undefined = at === null ? (live ?? detail) : detail;
  if (item === undefined) return <Missing error={error} retry={() => void refetch()} />;
  return (
    <Loaded item={item} conversation={conversation ?? item.opencodeId} isOwn={conversation === undefined} at={at}>
      {children(detail)}
    </Loaded>
  );
}

function Missing({ error, retry }: { readonly error: unknown; readonly retry: () => void }): ReactNode {
  if (error === null) return <Loading what="the session" />;
  if (!(error instanceof Refused && ["session_not_found", "erased"].includes(error.problem.code)))
    return (
      <div>
        <ProblemCard trouble={said(error, "The session")} retry={retry} />
      </div>
    );
  return (
    <Empty act={<Link to="/history">Search the history</Link>}>
      There is no such session. It was erased, or the address is incomplete.
    </Empty>
  );
}

type LoadedProps = {
  readonly item: SessionItem;
  readonly conversation: string;
  readonly isOwn: boolean;
  readonly at: number | null;
  readonly children: ReactNode;
};

/** Follows the transcript while it is shown. */
function Loaded({ item, conversation, isOwn, at, children }: LoadedProps): ReactNode {
  const { hub } = useFleet();
  const { id } = item;
  const transcript = useMemo(
    () => transcriptsOf(hub).get({ sessionId: id, conversation, isOwn, at }),
    [hub, id, conversation, isOwn, at],
  );
  useEffect(() => transcript.watch(), [transcript]);
  useFreshness(transcript);
  const isWriter = useMayChange();
  const isConnected = useIsConnected();
  const mayDraft = isWriter && at === null;
  const mayWrite = mayDraft && isConnected;
  const open = useMemo<Open>(
    () => ({ item, transcript, at, mayWrite, mayDraft }),
    [item, transcript, at, mayWrite, mayDraft],
  );
  const { data } = useTurnItems(id, at);
  const turns = useMemo(() => indexTurns(isOwn ? (data ?? []) : []), [data, isOwn]);
  if (useCell(transcript.isErased))
    return <Empty act={<Link to="/">Go to the fleet</Link>}>This session was erased.</Empty>;
  return (
    <OpenProvider open={open}>
      <TurnsProvider turns={turns}>
        <DialogsProvider>{children}</DialogsProvider>
      </TurnsProvider>
    </OpenProvider>
  );
}
