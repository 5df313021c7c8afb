/** The one Trusted Types policy of the page: addresses of our own workers, and nothing else. */

type Policy = { createScriptURL(address: string): unknown };
type Factory = { createPolicy(name: string, rules: { createScriptURL(address: string): string }): Policy };

function allowed(address: string): string {
  const url = new URL(address, location.href);
  const ours = url.origin === location.origin && (url.pathname.startsWith("/assets/") || import.meta.env.DEV);
  if (!ours) throw new TypeError(`not a worker of this page: ${url.href}`);
  return url.href;
}

const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;
const policy = factory?.createPolicy("fleet", { createScriptURL: allowed });

/** Return the worker at this address of our own build. */
export function startWorker(address: URL): Worker {
  const trusted = policy ? policy.createScriptURL(address.href) : allowed(address.href);
  return new Worker(trusted as string, { type: "module" });
}
