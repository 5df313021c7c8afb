/** The page that replaces a page that fails; `widgets/boundary.tsx` does the same for parts of a page. */
import type { ErrorComponentProps } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { said } from "../state/trouble.ts";
import { ProblemCard } from "../ui/states.tsx";

export function Failure({ error, reset }: ErrorComponentProps): ReactNode {
  return <ProblemCard trouble={said(error, "This page")} retry={reset} />;
}
