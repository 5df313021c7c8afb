/** Limits a failure to the part that fails: a card, a panel, a dialog. */
import { Component, type ErrorInfo, type ReactNode } from "react";
import { said } from "../state/trouble.ts";
import { ProblemCard } from "../ui/states.tsx";

type BoundaryProps = {
  /** The part that fails, as the subject of a sentence: `The peek`. */
  readonly what: string;
  readonly children: ReactNode;
};

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
