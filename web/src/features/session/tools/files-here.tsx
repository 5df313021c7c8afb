/** Leads from a tool call to the files as they were after it, where Fleet took a snapshot of them then. */
import { Link } from "@tanstack/react-router";
import { FolderClock } from "lucide-react";
import type { ReactNode } from "react";
import { turnOf } from "../../../core/rows.ts";
import { kindOf } from "../../../core/tools.ts";
import { useSnapshots } from "../../../state/session.ts";
import type { ToolPart } from "../../../wire/opencode.ts";
import { useOpen } from "../open.tsx";
import { useTurns } from "../turns.tsx";
import style from "./tools.module.css";

/** Kinds of calls that change no files: none of them has a snapshot. */
const READS: ReadonlySet<string> = new Set(["read", "search", "web", "question", "todo"]);

export function FilesHere({ part }: { readonly part: ToolPart }): ReactNode {
  const { item, at } = useOpen();
  const turn = turnOf(useTurns(), part.messageId);
  const position = useSnapshots(item.id, READS.has(kindOf(part)) ? undefined : turn).get(part.id);
  if (position === undefined || (at !== null && position > at)) return null;
  return (
    <Link
      to="/s/$id"
      params={{ id: item.id }}
      search={{ tab: "files", at: String(position) }}
      className={style.here}
      title="Show the files of the session as they were after this call"
    >
      <FolderClock size={14} aria-hidden /> Files as of here
    </Link>
  );
}
