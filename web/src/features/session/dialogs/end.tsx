/** Ends a session, with its workspace or permanently. The dialog first says what is removed and what is kept. */
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useEffect, useState } from "react";
import { counted, plain } from "../../../core/text.ts";
import { useCommand } from "../../../state/context.tsx";
import { resume } from "../../../state/resume.ts";
import { line, type Said, said } from "../../../state/trouble.ts";
import { Confirm } from "../../../ui/dialog.tsx";
import { Check } from "../../../ui/field.tsx";
import { Loading, ProblemCard } from "../../../ui/states.tsx";
import { say, sayError } from "../../../ui/toast.tsx";
import type { Ended } from "../../../wire/api.ts";
import type { EndPreview } from "../../../wire/types.ts";
import { useAct } from "../act.ts";
import { useOpen } from "../open.tsx";
import style from "./dialogs.module.css";

const KINDS = {
  stop: { title: "Stop the session", act: "Stop", query: {} },
  clean: {
    title: "Stop the session and remove its workspace",
    act: "Stop and remove",
    query: { cleanupWorkspace: "true" },
  },
  erase: { title: "Erase the session", act: "Erase", query: { permanent: "true" } },
} as const;

type EndProps = { readonly kind: keyof typeof KINDS; readonly onClose: () => void };

/** Ask for a preview of the end of the session and its workspace. */
function usePreview(path: string): readonly [EndPreview | null, Said | null] {
  const command = useCommand();
  const [preview, setPreview] = useState<EndPreview | null>(null);
  const [problem, setProblem] = useState<Said | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a command is asked once, when the dialog opens
  useEffect(() => {
    let isWanted = true;
    command<EndPreview>("DELETE", `${path}&dryRun=true`).then(
      ({ body }) => isWanted && setPreview(body),
      error => isWanted && setProblem(said(error)),
    );
    return () => {
      isWanted = false;
    };
  }, [path]);
  return [preview, problem];
}

export function EndDialog({ kind, onClose }: EndProps): ReactNode {
  const { item } = useOpen();
  const { title, act, query } = KINDS[kind];
  const path = `/api/sessions/${item.id}?${new URLSearchParams(query)}`;
  const [preview, problem] = usePreview(path);
  const [isForced, force] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const command = useCommand();
  const wayBack = useAct();
  const queries = useQueryClient();
  const navigate = useNavigate();

  async function end(): Promise<void> {
    setBusy(true);
    try {
      const { body } = await command<Ended>("DELETE", `${path}${isForced ? "&force=true" : ""}`);
      onClose();
      if (!body.erased) void queries.invalidateQueries({ queryKey: ["session", item.id] });
      if (body.erased) {
        say(`${plain(item.title)} is erased${keptAt(body)}`);
        void navigate({ to: "/" });
      } else if (body.workspace?.removed) {
        const { id } = body.workspace;
        say(`The session is stopped, and its workspace is removed${keptAt(body)}`, {
          label: "Restore the workspace",
          run: () => void wayBack.act("The workspace is restored", "POST", `/api/workspaces/${id}/restore`),
        });
      } else {
        say("The session is stopped", {
          label: "Resume",
          run: () => void wayBack.carryOut("The session is resumed", () => resume(command, item.id)),
        });
      }
    } catch (error) {
      sayError(kind === "erase" ? "The session was not erased" : "The session was not stopped", line(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <Confirm
      open
      onOpenChange={open => !open && onClose()}
      title={title}
      act={act}
      isBusy={isBusy}
      isDisabled={kind !== "stop" && preview === null}
      onConfirm={() => void end()}
    >
      <div className={style.form}>
        <p>{sentence(kind)}</p>
        {problem && <ProblemCard trouble={problem} />}
        {preview === null && problem === null && <Loading what="what would be kept" bars={2} />}
        {preview && <Preview preview={preview} wantsRemoval={kind !== "stop"} />}
        {preview && kind !== "stop" && preview.workspace !== null && !preview.workspace.removed && (
          <Check label="Continue if the workspace cannot be removed" checked={isForced} onChange={force} />
        )}
      </div>
    </Confirm>
  );
}

function keptAt(ended: Ended): string {
  const ref = ended.workspace?.kept?.ref;
  return ref ? `; work that existed only there is kept as ${ref}` : "";
}

function sentence(kind: keyof typeof KINDS): string {
  switch (kind) {
    case "stop":
      return "The running turn is aborted. The conversation and the workspace stay; the session can be resumed.";
    case "clean":
      return "The running turn is aborted, and the worktree or clone is removed. The conversation stays.";
    case "erase":
      return "Fleet erases everything that it has of the session: the conversation, the diffs, the notifications. This cannot be undone.";
  }
}

type PreviewProps = { readonly preview: EndPreview; readonly wantsRemoval: boolean };

function Preview({ preview, wantsRemoval }: PreviewProps): ReactNode {
  const { workspace } = preview;
  if (workspace === null) return null;
  return (
    <>
      <dl className={style.kept}>
        <dt>Workspace</dt>
        <dd>{plain(workspace.directory)}</dd>
        {workspace.branch !== null && (
          <>
            <dt>Branch</dt>
            <dd>{plain(workspace.branch)}</dd>
          </>
        )}
        <dt>{workspace.removed ? "Will be removed" : "Stays"}</dt>
        <dd>{workspace.removed ? "yes" : plain(workspace.reason ?? "it was not requested")}</dd>
        {workspace.keptRef !== null && (
          <>
            <dt>Kept as</dt>
            <dd>
              <code>{plain(workspace.keptRef)}</code>
            </dd>
          </>
        )}
      </dl>
      {wantsRemoval && workspace.removed && workspace.dirty === true && (
        <p className={style.warning}>There is work that is not committed. Fleet commits it first.</p>
      )}
      {wantsRemoval && workspace.ignored.length > 0 && (
        <div>
          <p className={style.warning}>
            {counted(workspace.ignored.length + workspace.ignoredMore, "ignored file")} will be lost: git does not keep
            what it ignores.
          </p>
          <pre className={style.ignored}>
            {workspace.ignored.map(plain).join("\n")}
            {workspace.ignoredMore > 0 && `\nand ${workspace.ignoredMore} more`}
          </pre>
        </div>
      )}
    </>
  );
}
