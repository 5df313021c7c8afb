/** The session's files as they are now: a tree, and the one that is open. */
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Empty } from "../../../ui/states.tsx";
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
        {at !== undefined && <p className={style.warning}>Files are shown as they are now.</p>}
        <FileTree open={open} opened={file ?? null} />
      </div>
      <div className={style.viewer}>
        {file === undefined ? <Empty>Choose a file.</Empty> : <FileView key={file} path={file} />}
      </div>
    </div>
  );
}
