/**
 * Markdown of agents as elements. It never becomes HTML.
 *
 * Raw HTML is shown as text, links are http(s) and open in a new tab, images become links: nothing is
 * loaded from elsewhere. Of a text that grows, only the last block is parsed again.
 */
import type { Token, Tokens } from "marked";
import { Fragment, memo, type ReactNode, useMemo, useRef } from "react";
import { type Blocks, blocksOf, NO_BLOCKS } from "../../../core/blocks.ts";
import { languageOf } from "../../../core/code.ts";
import { decoded } from "../../../core/entities.ts";
import { tokensOf } from "../../../core/lex.ts";
import { plain } from "../../../core/text.ts";
import { Code } from "../../../ui/code.tsx";
import { CopyButton } from "../../../ui/copy.tsx";
import style from "./markdown.module.css";

/** A text that may grow. */
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

const Block = memo(function Block({ source }: { readonly source: string }): ReactNode {
  const tokens = useMemo(() => tokensOf(source), [source]);
  return tokens === null ? <p className={style.raw}>{source}</p> : <All tokens={tokens} />;
});

function All({ tokens }: { readonly tokens: readonly Token[] | undefined }): ReactNode {
  return tokens?.map((token, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: the tokens are replaced as a whole
    <Fragment key={index}>{shown(token as Known)}</Fragment>
  ));
}

type Known =
  | Tokens.Blockquote
  | Tokens.Br
  | Tokens.Checkbox
  | Tokens.Code
  | Tokens.Codespan
  | Tokens.Def
  | Tokens.Del
  | Tokens.Em
  | Tokens.Escape
  | Tokens.Heading
  | Tokens.Hr
  | Tokens.HTML
  | Tokens.Image
  | Tokens.Link
  | Tokens.List
  | Tokens.Paragraph
  | Tokens.Space
  | Tokens.Strong
  | Tokens.Table
  | Tokens.Tag
  | Tokens.Text;

function shown(token: Known): ReactNode {
  switch (token.type) {
    case "paragraph":
      return (
        <p>
          <All tokens={token.tokens} />
        </p>
      );
    case "text":
      return "tokens" in token && token.tokens ? <All tokens={token.tokens} /> : words(token.text);
    case "strong":
      return (
        <strong>
          <All tokens={token.tokens} />
        </strong>
      );
    case "em":
      return (
        <em>
          <All tokens={token.tokens} />
        </em>
      );
    case "del":
      return (
        <del>
          <All tokens={token.tokens} />
        </del>
      );
    case "codespan":
      return <code>{plain(token.text)}</code>;
    case "code":
      return <CodeBlock code={plain(token.text)} named={token.lang ?? ""} />;
    case "heading":
      return <Heading depth={token.depth} tokens={token.tokens} />;
    case "list":
      return <List list={token} />;
    case "blockquote":
      return (
        <blockquote>
          <All tokens={token.tokens} />
        </blockquote>
      );
    case "table":
      return <Table table={token} />;
    case "link":
      return (
        <Away href={token.href}>
          <All tokens={token.tokens} />
        </Away>
      );
    case "image":
      return <Away href={token.href}>[{words(token.text) || "image"}]</Away>;
    case "html":
      return "block" in token && token.block ? (
        <p className={style.raw}>{plain(token.text.trim())}</p>
      ) : (
        plain(token.text)
      );
    case "br":
      return <br />;
    case "hr":
      return <hr />;
    case "escape":
      return plain(token.text);
    case "checkbox":
      return (
        <input type="checkbox" checked={token.checked} readOnly disabled aria-label={token.checked ? "done" : "open"} />
      );
    case "space":
    case "def":
      return null;
    default:
      return (token satisfies never as Token).raw;
  }
}

/** A text for display: the lexer has replaced references by characters, which are made visible where they would deceive. */
function words(text: string): string {
  return plain(decoded(text));
}

/** A link if its address is allowed; otherwise its text. */
function Away({ href, children }: { readonly href: string; readonly children: ReactNode }): ReactNode {
  if (!/^https?:\/\//i.test(href)) return <span>{children}</span>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer" title={plain(href)}>
      {children}
    </a>
  );
}

/** Headings of agents have levels below those of the page. */
function Heading({ depth, tokens }: { readonly depth: number; readonly tokens: readonly Token[] }): ReactNode {
  const Tag = depth <= 2 ? "h3" : depth <= 4 ? "h4" : "h5";
  return (
    <Tag className={style.heading}>
      <All tokens={tokens} />
    </Tag>
  );
}

function List({ list }: { readonly list: Tokens.List }): ReactNode {
  const items = list.items.map((item, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: the tokens are replaced as a whole
    <li key={index} className={item.task ? style.task : undefined}>
      <All tokens={item.tokens} />
    </li>
  ));
  return list.ordered ? <ol start={Number(list.start) || 1}>{items}</ol> : <ul>{items}</ul>;
}

function CodeBlock({ code, named }: { readonly code: string; readonly named: string }): ReactNode {
  return (
    <div className={style.block}>
      <Code code={code} language={languageOf(named.split(/\s/)[0] ?? "")} className={style.pre} />
      <CopyButton text={code} className={style.copy} />
    </div>
  );
}

function Table({ table }: { readonly table: Tokens.Table }): ReactNode {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className={style.table} aria-label="Table" tabIndex={0}>
      <table>
        <thead>
          <tr>
            {table.header.map((cell, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: the tokens are replaced as a whole
              <th key={index} style={{ textAlign: cell.align ?? "left" }}>
                <All tokens={cell.tokens} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the tokens are replaced as a whole
            <tr key={at}>
              {row.map((cell, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: the tokens are replaced as a whole
                <td key={index} style={{ textAlign: cell.align ?? "left" }}>
                  <All tokens={cell.tokens} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
