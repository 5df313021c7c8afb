/** The documents that were read, for the whole page. */
import { notifyManager, QueryClient } from "@tanstack/react-query";
import { Refused } from "./commands.ts";
import { frames } from "./store.ts";

const RETRIES = 2;

// As everything else that changes by itself: once a frame, and not while the pointer is pressed.
notifyManager.setScheduler(frames.schedule);

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
