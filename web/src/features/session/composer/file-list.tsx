/** The files that go with the prompt. */
import { FileText, X } from "lucide-react";
import type { ReactNode } from "react";
import type { DraftFile } from "../../../browser/drafts.ts";
import { bytes, oneLine } from "../../../core/text.ts";
import { IconButton } from "../../../ui/button.tsx";
import { useObjectUrl } from "../../../ui/object-url.ts";
import style from "./composer.module.css";

type FileListProps = { readonly files: readonly DraftFile[]; readonly remove: (id: string) => void };

export function FileList({ files, remove }: FileListProps): ReactNode {
  if (files.length === 0) return null;
  return (
    <ul className={style.files} aria-label="Files">
      {files.map(file => (
        <li key={file.id} className={style.file}>
          {file.mime.startsWith("image/") ? <Thumb file={file} /> : <FileText size={16} aria-hidden />}
          <span className={style.fileName}>{oneLine(file.name, 60)}</span>
          <span className={style.size}>{bytes(file.data.size)}</span>
          <IconButton label={`Remove ${oneLine(file.name, 60)}`} size="small" onClick={() => remove(file.id)}>
            <X size={13} aria-hidden />
          </IconButton>
        </li>
      ))}
    </ul>
  );
}

function Thumb({ file }: { readonly file: DraftFile }): ReactNode {
  const address = useObjectUrl(file.data);
  return address === null ? null : <img src={address} alt="" className={style.thumb} />;
}
