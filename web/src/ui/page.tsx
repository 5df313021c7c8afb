/** A page of text and tables: a head with a title and actions, sections below. */
import { type ReactNode, useId } from "react";
import style from "./page.module.css";

export { style as pageStyle };

export function Page(props: {
  readonly title: string;
  readonly acts?: ReactNode;
  readonly children: ReactNode;
}): ReactNode {
  return (
    <div className={style.page}>
      <div className={style.head}>
        <h1>{props.title}</h1>
        {props.acts}
      </div>
      {props.children}
    </div>
  );
}

export function Section(props: {
  readonly title: string;
  readonly note?: ReactNode;
  readonly children: ReactNode;
}): ReactNode {
  const id = useId();
  return (
    <section aria-labelledby={id} className={style.section}>
      <h2 id={id}>{props.title}</h2>
      {props.note && <p className={style.note}>{props.note}</p>}
      {props.children}
    </section>
  );
}

type TableProps = { readonly label: string; readonly columns: readonly ReactNode[]; readonly children: ReactNode };

export function Table({ label, columns, children }: TableProps): ReactNode {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a table that is wider than the screen is scrolled by keys (WCAG 2.1.1)
    <section className={style.wide} tabIndex={0} aria-label={label}>
      <table className={style.table}>
        <thead>
          <tr>
            {columns.map((column, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: columns never change their order
              <th key={index} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}
