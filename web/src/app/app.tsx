/** The providers around the router. */
import { CSPProvider } from "@base-ui/react/csp-provider";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { type Fleet, FleetProvider } from "../state/context.tsx";
import { queries } from "../state/query-client.ts";
import "../ui/tokens.css";
import "../ui/base.css";
import { Toasts } from "../ui/toast.tsx";
import { TipProvider } from "../ui/tooltip.tsx";
import { router } from "./router.tsx";

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
