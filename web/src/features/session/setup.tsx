/** The set-up of the session's workspace: its commands, their output as it comes, and what a person can do about it. */
import { keepPreviousData } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { duration, lastLine, plain } from "../../core/text.ts";
import { api } from "../../state/api.ts";
import { useCommand } from "../../state/context.tsx";
import { useDocument } from "../../state/queries.ts";
import { resume } from "../../state/resume.ts";
import { Button } from "../../ui/button.tsx";
import { type Look, Mark } from "../../ui/mark.tsx";
import { SetupActs, SetupCommands, SkipSetup } from "../../widgets/setup-acts.tsx";
import type { SessionItem } from "../../wire/types.ts";
import { useAct } from "./act.ts";
import { useOpen } from "./open.tsx";
import style from "./page.module.css";
import { Coloured } from "./tools/output.tsx";

type Brief = NonNullable<SessionItem["setup"]>;

const LOOKS: Readonly<Record<Brief["status"], Look>> = {
  required: { shape: "◌", word: "Set-up", tone: "starting" },
  held: { shape: "◐", word: "Set-up waits for you", tone: "needs" },
  running: { shape: "●", word: "Setting up", tone: "working" },
  done: { shape: "✓", word: "Set up", tone: "done" },
  failed: { shape: "✕", word: "Set-up failed", tone: "error" },
  skipped: { shape: "–", word: "Set-up skipped", tone: "away" },
};

/** Shown until the session has done something: then the Log tab has it. */
export function SetupStep(): ReactNode {
  const { item, at } = useOpen();
  const { setup } = item;
  if (at !== null || setup === null) return null;
  const isOver = setup.status === "done" || setup.status === "skipped";
  return isOver && item.turns > 0 ? null : <Step item={item} brief={setup} />;
}

function Step({ item, brief }: { readonly item: SessionItem; readonly brief: Brief }): ReactNode {
  const { mayWrite } = useOpen();
  const { data } = useDocument(
    ["setup", item.id, item.updatedAt],
    () => api.GET("/api/sessions/{session_id}/setup", { params: { path: { session_id: item.id } } }),
    { placeholderData: keepPreviousData },
  );
  const took = tookMs(brief);
  return (
    <section className={style.setup} aria-label="Set-up of the workspace">
      <details open={brief.status !== "done" && brief.status !== "skipped"}>
        <summary>
          <Mark {...LOOKS[brief.status]} /> {took !== null && `in ${duration(took)}`}
          {brief.status === "running" && data && ` ${lastLine(data.output)}`}
        </summary>
        {data && brief.status === "held" && <SetupCommands setup={data} />}
        {data && data.output !== "" && <Coloured text={data.output} />}
        {brief.status === "failed" && <p>{plain(brief.detail)}</p>}
      </details>
      {data && brief.status === "held" && <SetupActs sessionId={item.id} setup={data} />}
      {mayWrite && (brief.status === "running" || brief.status === "failed") && <Acts item={item} brief={brief} />}
    </section>
  );
}

function Acts({ item, brief }: { readonly item: SessionItem; readonly brief: Brief }): ReactNode {
  const { isBusy, act, carryOut } = useAct();
  const command = useCommand();
  if (brief.status === "running") {
    return (
      <div className={style.setupActs}>
        {/* The keys: a press or focus of one action never becomes that of the other. */}
        <Button
          key="abort"
          disabled={isBusy}
          onClick={() => void act("The set-up is aborted", "POST", `/api/sessions/${item.id}/abort`)}
        >
          Abort the set-up
        </Button>
      </div>
    );
  }
  if (item.status === "stopped") return null;
  return (
    <div className={style.setupActs}>
      <Button key="resume" disabled={isBusy} onClick={() => void carryOut(null, () => resume(command, item.id))}>
        Try again
      </Button>
      <SkipSetup sessionId={item.id} />
    </div>
  );
}

function tookMs({ startedAt, endedAt }: Brief): number | null {
  return startedAt === null || endedAt === null ? null : Date.parse(endedAt) - Date.parse(startedAt);
}
