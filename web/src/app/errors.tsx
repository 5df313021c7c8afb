/** The page that is shown when a whole page fails; `widgets/boundary.tsx` is for its parts. */
import type { ErrorComponentProps } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { said } from "../state/trouble.ts";
import { ProblemCard } from "../ui/states.tsx";

export function Failure({ error, reset }: ErrorComponentProps): ReactNode {
  return <ProblemCard trouble={said(error, "This page")} retry={reset} />;
}
