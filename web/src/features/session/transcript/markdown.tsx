/** Markdown of agents: raw HTML is shown as text, links are http(s) and lead away in a new tab, images are links. */
import { type ComponentProps, memo, type ReactNode, useRef } from "react";
import ReactMarkdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import { type Blocks, blocksOf, NO_BLOCKS } from "../../../core/blocks.ts";
import { languageOf } from "../../../core/code.ts";
import { plain } from "../../../core/text.ts";
import { Code } from "../../../ui/code.tsx";
import { CopyButton } from "../../../ui/copy.tsx";
import style from "./markdown.module.css";

// Arrays and objects that never change: with new ones everything is made again.
const PLUGINS = [remarkGfm];

/** Return the address of a link that may be followed; nothing for any other. */
function safeUrl(url: string): string {
  return /^https?:\/\//i.test(url) ? url : "";
}

function Anchor({ href, children }: ComponentProps<"a">): ReactNode {
  if (!href) return <span>{children}</span>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer" title={href}>
      {children}
    </a>
  );
}

/** Images of agents never load from elsewhere. */
function Picture({ src, alt }: ComponentProps<"img">): ReactNode {
  const name = alt || "image";
  return typeof src === "string" && src !== "" ? <Anchor href={src}>[{name}]</Anchor> : <span>[{name}]</span>;
}

function Pre({ children }: ComponentProps<"pre">): ReactNode {
  const code = (children as { props?: { className?: string; children?: unknown } } | null)?.props;
  const text = typeof code?.children === "string" ? code.children.replace(/\n$/, "") : "";
  const named = /language-(\S+)/.exec(code?.className ?? "")?.[1] ?? "";
  return (
    <div className={style.block}>
      <Code code={text} language={languageOf(named)} className={style.pre} />
      <CopyButton text={text} className={style.copy} />
    </div>
  );
}

function Table({ children }: ComponentProps<"table">): ReactNode {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className={style.table} aria-label="Table" tabIndex={0}>
      <table>{children}</table>
    </section>
  );
}

/** Headings of agents stand below those of the page. */
function heading(level: 3 | 4 | 5): (props: ComponentProps<"h3">) => ReactNode {
  const Tag = `h${level}` as const;
  return ({ children }) => <Tag className={style.heading}>{children}</Tag>;
}

const COMPONENTS: Components = {
  a: Anchor,
  img: Picture,
  pre: Pre,
  table: Table,
  h1: heading(3),
  h2: heading(3),
  h3: heading(4),
  h4: heading(4),
  h5: heading(5),
  h6: heading(5),
};

const Block = memo(function Block(props: { readonly source: string }): ReactNode {
  return (
    <ReactMarkdown remarkPlugins={PLUGINS} components={COMPONENTS} urlTransform={safeUrl}>
      {props.source}
    </ReactMarkdown>
  );
});

/** A text that may grow: only its last block is made again. */
export function Markdown(props: { readonly text: string }): ReactNode {
  const blocks = useRef<Blocks>(NO_BLOCKS);
  blocks.current = blocksOf(plain(props.text), blocks.current);
  const { closed, open } = blocks.current;
  return (
    <div className={style.markdown}>
      {closed.map((source, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a closed block keeps its place
        <Block key={index} source={source} />
      ))}
      <Block key={closed.length} source={open} />
    </div>
  );
}
