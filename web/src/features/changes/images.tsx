/** An image before and after, from its bytes: nothing is loaded from elsewhere. */
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { bytes, named } from "../../core/text.ts";
import { Loading, ProblemCard } from "../../ui/states.tsx";
import type { DiffItem } from "../../wire/types.ts";
import { contentOptions } from "./data.ts";
import style from "./file-view.module.css";
import { troubleOf } from "./trouble.ts";

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
  const address = useObjectUrl(content.data, type);
  const [size, setSize] = useState<string | null>(null);
  if (content.isError) return <ProblemCard trouble={troubleOf(content.error)} retry={() => void content.refetch()} />;
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

function useObjectUrl(content: Uint8Array | undefined, type: string): string | null {
  const [address, setAddress] = useState<string | null>(null);
  useEffect(() => {
    if (content === undefined) return;
    const made = URL.createObjectURL(new Blob([content as Uint8Array<ArrayBuffer>], { type }));
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [content, type]);
  return address;
}
