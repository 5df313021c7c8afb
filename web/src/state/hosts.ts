/** The hosts as they were read last: rarely where there is one host, every few seconds where there are several. */
import { api } from "./api.ts";
import { useRead } from "./queries.ts";

export const HOSTS_KEY = ["hosts"];
const MANY_MS = 5_000;
const ONE_MS = 60_000;
const LIMIT = 200;

export function useHosts() {
  const found = useRead(HOSTS_KEY, () => api.GET("/api/hosts", { params: { query: { limit: LIMIT } } }), {
    everyMs: many => ((many?.body.length ?? 0) > 1 ? MANY_MS : ONE_MS),
  });
  return { found, hosts: found.data?.body ?? [] };
}

/** The engine of the hosts, if there are several. */
export function useEngine(isMany: boolean) {
  return useRead(["engine"], () => api.GET("/api/hosts/engine"), { everyMs: MANY_MS, isOff: !isMany }).data?.body;
}
