/** A preview of the review as the agent will read it. It is sent as one prompt. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { type Comment, type Placed, promptOf, unsent } from "../../core/review.ts";
import { hasEnded } from "../../core/status.ts";
import { bytes, counted, plain } from "../../core/text.ts";
import { Refused } from "../../state/commands.ts";
import { useCommand, useFleet, useIsConnected, useSession } from "../../state/context.tsx";
import { restoreWorkspaceOf } from "../../state/resume.ts";
import { useCell } from "../../state/store.ts";
import { said } from "../../state/trouble.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { TextArea } from "../../ui/field.tsx";
import { ProblemCard } from "../../ui/states.tsx";
import { say } from "../../ui/toast.tsx";
import type { DiffItem } from "../../wire/types.ts";
import { comparedOptions, hasLines } from "./data.ts";
import { placeIn } from "./file-view.tsx";
import style from "./panel.module.css";
import type { ReviewStore } from "./review-store.ts";

type ReviewDialogProps = {
  readonly id: string;
  readonly files: readonly DiffItem[];
  readonly comments: readonly Comment[];
  readonly store: ReviewStore;
  readonly onClose: () => void;
};

export function ReviewDialog({ id, files, comments, store, onClose }: ReviewDialogProps): ReactNode {
  const waiting = unsent(comments);
  const placed = usePlaces(id, files, waiting);
  const [opening, setOpening] = useState("");
  const send = useSend(id, store, onClose);
  const status = useSession(id)?.status;
  const isConnected = useIsConnected();
  const limit = useCell(useFleet().info)?.limits.promptBytes;
  const text = placed && promptOf(placed, opening);
  const size = text === null ? 0 : new TextEncoder().encode(text).length;
  const isTooLong = limit !== undefined && size > limit;
  const mustResume = status !== undefined && hasEnded(status);
  const cannot = text === null || isTooLong || !isConnected || waiting.length === 0;
  return (
    <Dialog
      open
      isWide
      onOpenChange={open => !open && onClose()}
      title="Send the review to the agent"
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            kind="primary"
            isBusy={send.isBusy}
            disabled={cannot}
            onClick={() => text !== null && send.run(text, waiting, mustResume)}
          >
            {mustResume ? "Resume and send" : "Send"} {counted(waiting.length, "comment")}
          </Button>
        </>
      }
    >
      <div className={style.review}>
        <TextArea
          label="First words (optional)"
          rows={2}
          value={opening}
          onChange={event => setOpening(event.target.value)}
          error={isTooLong ? `The prompt is ${bytes(size)}; the limit is ${bytes(limit)}.` : null}
        />
        <TextArea label="The agent will read" className={style.preview} rows={14} readOnly value={plain(text ?? "")} />
        {mustResume && <p className={style.hint}>The session has ended. Sending resumes it.</p>}
        {send.error !== null && <ProblemCard trouble={said(send.error)} />}
      </div>
    </Dialog>
  );
}

/** Find the current place of each comment; null while that is not known. Without its file in the diff, it has none. */
function usePlaces(id: string, files: readonly DiffItem[], comments: readonly Comment[]): readonly Placed[] | null {
  const queries = useQueryClient();
  const items = files.filter(item => hasLines(item) && comments.some(comment => comment.file === item.file));
  const found = useQuery({
    queryKey: ["review-places", id, items.map(item => [item.file, item.beforeDigest, item.afterDigest])],
    structuralSharing: false,
    gcTime: 0,
    queryFn: async () => {
      const read = items.map(async item => [item.file, await diffOf(queries, id, item)] as const);
      return new Map(await Promise.all(read));
    },
  });
  if (found.data === undefined && !found.isError) return null;
  return comments.map(comment => {
    const diff = found.data?.get(comment.file);
    return diff ? placeIn(comment, diff) : { comment, found: null };
  });
}

function diffOf(queries: ReturnType<typeof useQueryClient>, id: string, item: DiffItem) {
  return queries.fetchQuery(comparedOptions(queries, id, item, false));
}

function useSend(id: string, store: ReviewStore, onClose: () => void) {
  const command = useCommand();
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const send = async (text: string, sent: readonly Comment[], resume: boolean): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      if (resume) await restoreWorkspaceOf(command, id);
      await command("POST", `/api/sessions/${encodeURIComponent(id)}/prompt`, { text, ...(resume ? { resume } : {}) });
      store.markSent(new Set(sent.map(comment => comment.id)));
      say(`${counted(sent.length, "comment")} sent to the agent`);
      onClose();
    } catch (caught) {
      if (!(caught instanceof Refused)) throw caught;
      setError(caught);
    } finally {
      setBusy(false);
    }
  };
  const run = (text: string, sent: readonly Comment[], resume: boolean): void => void send(text, sent, resume);
  return { isBusy, error, run };
}
