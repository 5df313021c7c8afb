/** Rows and cells of a grid without a table element: only the visible rows of a long list exist, each with its own position. */
import type { ComponentProps, ReactNode } from "react";

type RowProps = ComponentProps<"div"> & {
  /** The place among all rows, from 0. */
  readonly index: number;
  /** Whether it is the row that has, or would get, the focus of the list. */
  readonly isActive: boolean;
};

export function GridRow({ index, isActive, ...rest }: RowProps): ReactNode {
  // biome-ignore lint/a11y/useSemanticElements: a <tr> cannot stand alone
  return <div {...rest} role="row" aria-rowindex={index + 1} tabIndex={isActive ? 0 : -1} />;
}

export function GridCell(props: ComponentProps<"span">): ReactNode {
  // biome-ignore lint/a11y/useSemanticElements: a <td> cannot stand alone
  // biome-ignore lint/a11y/useFocusableInteractive: the row has the focus, not its cells
  return <span {...props} role="gridcell" />;
}
