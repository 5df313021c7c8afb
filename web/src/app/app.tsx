/** The providers around the router. */
import { CSPProvider } from "@base-ui/react/csp-provider";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Refused } from "../state/commands.ts";
import { type Fleet, FleetProvider } from "../state/context.tsx";
import "../ui/tokens.css";
import "../ui/base.css";
import { Toasts } from "../ui/toast.tsx";
import { TipProvider } from "../ui/tooltip.tsx";
import { router } from "./router.tsx";

const RETRIES = 2;

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // What a refusal says does not change by asking again; a server that is away may come back.
      retry: (failures, error) =>
        failures < RETRIES && !(error instanceof Refused && error.problem.status >= 400 && error.problem.status < 500),
      refetchOnWindowFocus: false,
      staleTime: 5_000,
    },
  },
});

export function App(props: { readonly fleet: Fleet }): ReactNode {
  return (
    <CSPProvider disableStyleElements>
      <FleetProvider fleet={props.fleet}>
        <QueryClientProvider client={queries}>
          <TipProvider delay={400}>
            <RouterProvider router={router} />
            <Toasts />
          </TipProvider>
        </QueryClientProvider>
      </FleetProvider>
    </CSPProvider>
  );
}
