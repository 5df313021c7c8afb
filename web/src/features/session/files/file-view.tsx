/** One file: its text with colours and numbers, or a note that says why it is not shown. */
import { type ReactNode, useMemo } from "react";
import { languageOfFile } from "../../../core/code.ts";
import { bytes, oneLine, plain } from "../../../core/text.ts";
import { useFile } from "../../../state/session.ts";
import { said } from "../../../state/trouble.ts";
import { Code } from "../../../ui/code.tsx";
import { CopyButton } from "../../../ui/copy.tsx";
import { Empty, Loading, ProblemCard } from "../../../ui/states.tsx";
import type { FileItem } from "../../../wire/api.ts";
import { useOpen } from "../open.tsx";
import style from "./files.module.css";

export function FileView({ path }: { readonly path: string }): ReactNode {
  const { item, at } = useOpen();
  const { data, error, refetch } = useFile(item.id, path, at);
  if (error) return <ProblemCard trouble={said(error, "The file")} retry={() => void refetch()} />;
  if (data === undefined) return <Loading what="the file" />;
  return (
    <>
      <div className={style.head}>
        <h2 className={style.path}>{oneLine(path, 300)}</h2>
        {data.sizeBytes !== null && <span className={style.note}>{bytes(data.sizeBytes)}</span>}
        {data.encoding === "utf-8" && <CopyButton text={data.content ?? ""} label="Copy the file" />}
      </div>
      <Content file={data} />
    </>
  );
}

function Content({ file }: { readonly file: FileItem }): ReactNode {
  if (file.type === "directory") return <Empty>This is a directory.</Empty>;
  if (file.encoding !== "utf-8")
    return (
      <Empty>This file is binary{file.sizeBytes === null ? "" : `, ${bytes(file.sizeBytes)}`}. It is not shown.</Empty>
    );
  if (file.content === "") return <Empty>This file is empty.</Empty>;
  return (
    <>
      {file.isTruncated && (
        <p className={style.warning}>Only the beginning is shown: the file has {bytes(file.sizeBytes ?? 0)}.</p>
      )}
      <Text path={file.path} content={file.content ?? ""} />
    </>
  );
}

function Text({ path, content }: { readonly path: string; readonly content: string }): ReactNode {
  const text = useMemo(() => plain(content), [content]);
  const numbers = useMemo(() => numbersOf(text), [text]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className={style.text} aria-label="Content" tabIndex={0}>
      <pre className={style.numbers} aria-hidden>
        {numbers}
      </pre>
      <Code code={text} language={languageOfFile(path)} className={style.code} />
    </section>
  );
}

function numbersOf(text: string): string {
  const lines = text.replace(/\n$/, "").split("\n").length;
  return Array.from({ length: lines }, (_, index) => index + 1).join("\n");
}
