/** What is shown where a part of the page fails: the part, and not the page. */
import type { ErrorComponentProps } from "@tanstack/react-router";
import { Component, type ErrorInfo, type ReactNode } from "react";
import { Refused } from "../state/commands.ts";
import { ProblemCard, type Trouble } from "../ui/states.tsx";

/** Return what to say of an error. */
export function troubleOf(error: unknown, what: string): Trouble {
  if (error instanceof Refused) {
    const { title, detail, hint, code } = error.problem;
    return { title, detail, hint, code };
  }
  const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { title: `${what} cannot be shown`, detail, hint: "This is a bug of the page. The rest of it goes on." };
}

export function Failure({ error, reset }: ErrorComponentProps): ReactNode {
  return <ProblemCard trouble={troubleOf(error, "This page")} retry={reset} />;
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
      <ProblemCard
        trouble={troubleOf(this.state.error, this.props.what)}
        retry={() => this.setState({ error: null })}
      />
    );
  }
}
