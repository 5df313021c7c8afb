/** The session's files as they are now, or as of an event: a tree, and the one that is open. */
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useFile } from "../../../state/session.ts";
import { Empty } from "../../../ui/states.tsx";
import { useOpen } from "../open.tsx";
import { FileTree } from "./file-tree.tsx";
import { FileView } from "./file-view.tsx";
import style from "./files.module.css";

export function FilesTab(): ReactNode {
  const { file, at } = useSearch({ from: "/s/$id" });
  const navigate = useNavigate({ from: "/s/$id" });
  const open = (path: string) =>
    void navigate({ search: { tab: "files", file: path, ...(at === undefined ? {} : { at }) }, replace: true });
  return (
    <div className={style.files}>
      <div className={style.side}>
        <Moment />
        <FileTree key={at} open={open} opened={file ?? null} />
      </div>
      <div className={style.viewer}>
        {file === undefined ? <Empty>Choose a file.</Empty> : <FileView key={`${file} ${at}`} path={file} />}
      </div>
    </div>
  );
}

/** For an earlier moment: the snapshot of the files that is shown. */
function Moment(): ReactNode {
  const { item, at } = useOpen();
  const { data } = useFile(item.id, "", at);
  if (at === null || data?.asOfPosition == null) return null;
  const when =
    data.asOfTurn !== null
      ? `after turn ${data.asOfTurn}`
      : data.asOfPart !== null
        ? "within the turn"
        : "before the first turn";
  return (
    <p className={style.note}>
      As of event {data.asOfPosition.toLocaleString("en-US")}, {when}.
    </p>
  );
}
