/** An image before and after, from its bytes: nothing is loaded from elsewhere. */
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useMemo, useState } from "react";
import { bytes, named } from "../../core/text.ts";
import { said } from "../../state/trouble.ts";
import { useObjectUrl } from "../../ui/object-url.ts";
import { Loading, ProblemCard } from "../../ui/states.tsx";
import type { DiffItem } from "../../wire/types.ts";
import { contentOptions } from "./data.ts";
import style from "./file-view.module.css";

export function Images(props: { readonly id: string; readonly item: DiffItem; readonly type: string }): ReactNode {
  const { id, item, type } = props;
  return (
    <div className={style.images}>
      <OneSide id={id} digest={item.beforeDigest} type={type} word="Before" file={item.oldFile ?? item.file} />
      <OneSide id={id} digest={item.afterDigest} type={type} word="After" file={item.file} />
    </div>
  );
}

type OneSideProps = {
  readonly id: string;
  readonly digest: string | null;
  readonly type: string;
  readonly word: string;
  readonly file: string;
};

function OneSide({ id, digest, type, word, file }: OneSideProps): ReactNode {
  if (digest === null) return null;
  return <Picture id={id} digest={digest} type={type} word={word} file={file} />;
}

function Picture(props: OneSideProps & { readonly digest: string }): ReactNode {
  const { id, digest, type, word, file } = props;
  const content = useQuery(contentOptions(id, digest));
  const blob = useMemo(
    () => (content.data === undefined ? null : new Blob([content.data as Uint8Array<ArrayBuffer>], { type })),
    [content.data, type],
  );
  const address = useObjectUrl(blob);
  const [size, setSize] = useState<string | null>(null);
  if (content.isError)
    return <ProblemCard trouble={said(content.error, "The image")} retry={() => void content.refetch()} />;
  if (content.data === undefined || address === null) return <Loading what="the image" bars={2} />;
  return (
    <figure className={style.image}>
      <figcaption>
        {word} · {bytes(content.data.length)}
        {size && ` · ${size}`}
      </figcaption>
      <img
        src={address}
        alt={`${word}: ${named(file)}`}
        onLoad={({ currentTarget: image }) => setSize(`${image.naturalWidth} × ${image.naturalHeight}`)}
        onError={() => setSize("this browser cannot show it")}
      />
    </figure>
  );
}
