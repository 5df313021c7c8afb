/** Sends a prompt or a command. The text stays in the box until the server has it. */
import { useState } from "react";
import type { Draft } from "../../../browser/drafts.ts";
import { base64Of } from "../../../browser/files.ts";
import { commandIn, fits } from "../../../core/prompting.ts";
import { hasEnded, isInTurn } from "../../../core/status.ts";
import { bytes } from "../../../core/text.ts";
import { Refused } from "../../../state/commands.ts";
import { useCommand, useFleet } from "../../../state/context.tsx";
import { restoreWorkspaceOf, resume } from "../../../state/resume.ts";
import { useCell } from "../../../state/store.ts";
import { type Said, said } from "../../../state/trouble.ts";
import type { SessionItem } from "../../../wire/types.ts";

const BODY_BYTES = 20 * 1024 * 1024;

export type Sending = {
  readonly isSending: boolean;
  readonly problem: Said | null;
  /** Show the refusal beside the box. */
  readonly refuse: (title: string, detail?: string) => void;
  readonly forget: () => void;
  /** Send; resolves to whether the server has it. */
  readonly send: (draft: Draft, delivery: "queue" | "steer") => Promise<boolean>;
};

export function useSend(item: SessionItem, commands: ReadonlySet<string>): Sending {
  const [isSending, setSending] = useState(false);
  const [problem, setProblem] = useState<Said | null>(null);
  const command = useCommand();
  const bodyBytes = useCell(useFleet().info)?.limits.bodyBytes ?? BODY_BYTES;
  const path = `/api/sessions/${item.id}`;

  async function carryOut(draft: Draft, delivery: "queue" | "steer"): Promise<void> {
    const isBack = hasEnded(item.status);
    const choice = {
      ...(draft.agent ? { agent: draft.agent } : {}),
      ...(draft.model ? { model: modelOf(draft.model) } : {}),
    };
    const called = commandIn(draft.text, commands);
    if (called !== null) {
      if (draft.files.length > 0) throw new Error("Commands take no files. Remove the files, or write a prompt.");
      if (isBack) await resume(command, item.id);
      await command("POST", `${path}/command`, { ...called, ...choice });
      return;
    }
    const size = draft.files.reduce((sum, file) => sum + file.data.size, 0);
    if (!fits(size, new Blob([draft.text]).size, bodyBytes))
      throw new Error(
        `The files have ${bytes(size)} together. A request holds ${bytes(bodyBytes)}, a third more than the files.`,
      );
    const attachments = await Promise.all(
      draft.files.map(async file => ({ mime: file.mime, filename: file.name, data: await base64Of(file.data) })),
    );
    if (isBack) await restoreWorkspaceOf(command, item.id);
    await command("POST", `${path}/prompt`, {
      text: draft.text,
      ...(attachments.length > 0 ? { attachments } : {}),
      ...choice,
      ...(isInTurn(item) ? { delivery } : {}),
      ...(isBack ? { resume: true } : {}),
    });
  }

  async function send(draft: Draft, delivery: "queue" | "steer"): Promise<boolean> {
    if (isSending) return false;
    setSending(true);
    setProblem(null);
    try {
      await carryOut(draft, delivery);
      return true;
    } catch (error) {
      setProblem(
        error instanceof Refused ? said(error) : { title: error instanceof Error ? error.message : String(error) },
      );
      return false;
    } finally {
      setSending(false);
    }
  }

  return {
    isSending,
    problem,
    refuse: (title, detail) => setProblem({ title, detail }),
    forget: () => setProblem(null),
    send,
  };
}

function modelOf(name: string): { readonly providerID: string; readonly modelID: string } {
  const slash = name.indexOf("/");
  return { providerID: name.slice(0, slash), modelID: name.slice(slash + 1) };
}
