/** What is shown where a part of the page fails: the part, and not the page. */
import type { ErrorComponentProps } from "@tanstack/react-router";
import { Component, type ErrorInfo, type ReactNode } from "react";
import { said } from "../state/trouble.ts";
import { ProblemCard } from "../ui/states.tsx";

export function Failure({ error, reset }: ErrorComponentProps): ReactNode {
  return <ProblemCard trouble={said(error, "This page")} retry={reset} />;
}

type BoundaryProps = { readonly what: string; readonly children: ReactNode };

/** Keeps an error of its children to itself. */
export class Boundary extends Component<BoundaryProps, { readonly error: unknown }> {
  override state = { error: null as unknown };

  static getDerivedStateFromError(error: unknown): { readonly error: unknown } {
    return { error };
  }

  override componentDidCatch(error: Error, info: ErrorInfo): void {
    reportError(Object.assign(error, { cause: info.componentStack }));
  }

  override render(): ReactNode {
    if (this.state.error === null) return this.props.children;
    return (
      <ProblemCard trouble={said(this.state.error, this.props.what)} retry={() => this.setState({ error: null })} />
    );
  }
}
