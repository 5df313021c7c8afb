/** The documents that were read, for the whole page. */
import { QueryClient } from "@tanstack/react-query";
import { Refused } from "./commands.ts";

const RETRIES = 2;

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // What a refusal says does not change by asking again; a server that is away may come back.
      retry: (failures, error) =>
        failures < RETRIES && !(error instanceof Refused && error.problem.status >= 400 && error.problem.status < 500),
      // A server on this machine is there where the browser has no network at all.
      networkMode: "always",
      refetchOnWindowFocus: false,
      refetchOnReconnect: false,
      staleTime: 5_000,
    },
    mutations: { networkMode: "always" },
  },
});
