/** Forks from a turn: a new session with the conversation and the files of that moment. */
import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { plain } from "../../../core/text.ts";
import { useCommand } from "../../../state/context.tsx";
import { type Said, said } from "../../../state/trouble.ts";
import { Button } from "../../../ui/button.tsx";
import { Dialog } from "../../../ui/dialog.tsx";
import { TextField } from "../../../ui/field.tsx";
import { Select } from "../../../ui/select.tsx";
import { ProblemCard } from "../../../ui/states.tsx";
import { say } from "../../../ui/toast.tsx";
import type { Created } from "../../../wire/api.ts";
import type { Strategy, TurnItem } from "../../../wire/types.ts";
import { useOpen } from "../open.tsx";
import { useTurns } from "../turns.tsx";
import style from "./dialogs.module.css";

const STRATEGIES: readonly { readonly value: Strategy; readonly label: string }[] = [
  { value: "worktree", label: "worktree: a work tree of its own" },
  { value: "clone", label: "clone: a copy of the repository" },
  { value: "existing", label: "existing: the same directory" },
];

type ForkProps = { readonly turn: TurnItem | null; readonly onClose: () => void };

export function ForkDialog({ turn, onClose }: ForkProps): ReactNode {
  const { item } = useOpen();
  const turns = useTurns();
  const [title, setTitle] = useState(`${item.title} (fork)`);
  const [strategy, setStrategy] = useState<Strategy>(item.isolationStrategy);
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Said | null>(null);
  const command = useCommand();
  const navigate = useNavigate();
  // A turn's last message is the one before the next turn.
  const next = turn === null ? undefined : turns.byNumber.get(turn.number + 1);

  async function fork(): Promise<void> {
    setBusy(true);
    setProblem(null);
    try {
      const { body } = await command<Created>("POST", `/api/sessions/${item.id}/fork`, {
        title: title.trim() || null,
        isolationStrategy: strategy,
        ...(next === undefined ? {} : { messageId: next.messageId }),
      });
      onClose();
      if (body.filesAsOf !== null)
        say(`The files are those of event ${body.filesAsOf.toLocaleString("en-US")}: no later ones were recorded.`);
      void navigate({ to: "/s/$id", params: { id: body.session.id } });
    } catch (error) {
      setProblem(said(error));
      setBusy(false);
    }
  }

  return (
    <Dialog
      open
      onOpenChange={open => !open && onClose()}
      title={turn === null ? "Fork the session" : `Fork after turn ${turn.number}`}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" isBusy={isBusy} onClick={() => void fork()}>
            {isBusy ? "Forking…" : "Fork"}
          </Button>
        </>
      }
    >
      <div className={style.form}>
        <p>
          A new session begins with this conversation
          {turn === null ? "" : ` up to the end of turn ${turn.number}`}, and with the files as they were then. This one
          stays as it is.
        </p>
        {turn !== null && <blockquote className={style.quote}>{plain(turn.prompt)}</blockquote>}
        <TextField label="Title" value={title} maxLength={200} onChange={event => setTitle(event.target.value)} />
        <div>
          <Select label="Where it works" showLabel value={strategy} choices={STRATEGIES} onChange={setStrategy} />
        </div>
        {problem && <ProblemCard trouble={problem} />}
      </div>
    </Dialog>
  );
}
