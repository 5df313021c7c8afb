/** One row of a transcript. It renders only when its own part changes. */
import { memo, type ReactNode } from "react";
import type { Row } from "../../../core/rows.ts";
import { plain } from "../../../core/text.ts";
import { useKey } from "../../../state/store.ts";
import type { Part } from "../../../wire/opencode.ts";
import { useOpen } from "../open.tsx";
import { JsonCard } from "../tools/other.tsx";
import { ToolCard } from "../tools/tool.tsx";
import { Attachment } from "./attachment.tsx";
import { Divider } from "./divider.tsx";
import { Prompt } from "./prompt.tsx";
import { Reasoning } from "./reasoning.tsx";
import style from "./rows.module.css";
import { Said } from "./said.tsx";
import { TurnEnd } from "./turn-end.tsx";

export const TranscriptRow = memo(function TranscriptRow({ row }: { readonly row: Row }): ReactNode {
  switch (row.kind) {
    case "prompt":
      return <Prompt messageId={row.messageId} turn={row.turn} />;
    case "part":
      return <PartRow partId={row.key} />;
    case "failed":
      return <Failed messageId={row.messageId} />;
    case "turn-end":
      return <TurnEnd number={row.turn} />;
  }
});

function PartRow({ partId }: { readonly partId: string }): ReactNode {
  const { transcript } = useOpen();
  const part = useKey(transcript.parts, partId);
  return part === undefined ? null : <div className={style.part}>{shown(part)}</div>;
}

function shown(part: Part): ReactNode {
  switch (part.kind) {
    case "text":
      return <Said part={part} />;
    case "reasoning":
      return <Reasoning part={part} />;
    case "tool":
      return <ToolCard part={part} />;
    case "file":
      return <Attachment part={part} />;
    case "compaction":
      return <Divider>The conversation became long: what was said so far is replaced by a summary.</Divider>;
    case "retry":
      return <Divider>{`Attempt ${part.attempt} failed: ${plain(part.error)}`}</Divider>;
    case "unknown":
      return <JsonCard name={part.type || "unknown part"} json={part.json} cardKey={part.id} />;
    case "step":
    case "patch":
      return null;
  }
}

function Failed({ messageId }: { readonly messageId: string }): ReactNode {
  const { transcript } = useOpen();
  const error = useKey(transcript.infos, messageId)?.error;
  if (!error) return null;
  const wasAborted = error.name === "MessageAbortedError";
  return (
    <Divider tone={wasAborted ? "quiet" : "error"}>
      {wasAborted ? "Aborted" : `${error.name}: ${plain(error.message)}`}
    </Divider>
  );
}
