/** A file of a prompt: a small picture of an image, a link for any other file. */
import { FileText } from "lucide-react";
import type { ReactNode } from "react";
import { oneLine } from "../../../core/text.ts";
import type { FilePart } from "../../../wire/opencode.ts";
import { useOpen } from "../open.tsx";
import style from "./rows.module.css";

export function Attachment({ part }: { readonly part: FilePart }): ReactNode {
  const { item } = useOpen();
  const name = oneLine(part.name, 80);
  const address = `/api/sessions/${item.id}/parts/${part.id}/content`;
  const isImage = /^image\/(?:png|jpeg|gif|webp|avif)$/.test(part.mime);
  return (
    <a href={address} target="_blank" rel="noopener noreferrer" className={style.file} title={name}>
      {isImage ? (
        <img src={address} alt={name} className={style.picture} loading="lazy" />
      ) : (
        <>
          <FileText size={14} aria-hidden /> {name}
        </>
      )}
    </a>
  );
}
