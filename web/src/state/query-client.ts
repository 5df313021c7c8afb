/** The documents that were read, for the whole page. */
import { QueryClient } from "@tanstack/react-query";
import { Refused } from "./commands.ts";

const RETRIES = 2;

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // Repeating a refused request changes nothing; a server that is away may come back.
      retry: (failures, error) =>
        failures < RETRIES && !(error instanceof Refused && error.problem.status >= 400 && error.problem.status < 500),
      // A server on this machine is reachable even if the browser is offline.
      networkMode: "always",
      refetchOnWindowFocus: false,
      refetchOnReconnect: false,
      staleTime: 5_000,
    },
    mutations: { networkMode: "always" },
  },
});
