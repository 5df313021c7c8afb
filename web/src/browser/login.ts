/** Where a person goes on after the login. The address may come from a link of somebody else: it is not trusted. */

const HERE = "http://here.invalid";
const ADDRESS_CHARS_MAX = 1_000;

/**
 * Return the address as a path of this page, null for one that a browser takes for another place.
 *
 * Browsers leave tabs and newlines out, take `\` for `/`, and `//host` for a host: so the browser's own reading counts.
 */
export function ownPath(address: string): string | null {
  if (!address.startsWith("/") || address.length > ADDRESS_CHARS_MAX || !URL.canParse(address, HERE)) return null;
  const { origin, pathname, search, hash } = new URL(address, HERE);
  return origin !== HERE || pathname.startsWith("//") ? null : pathname + search + hash;
}

/** Return where to go on from an address: there, if it is a place of this page; from the login, where its link led. */
export function nextOf(path: string, search: string): string {
  const next = path === "/login" ? new URLSearchParams(search).get("next") : path + search;
  return ownPath(next ?? "/") ?? "/";
}

/** Return the command that makes a link to `next`, as it can go into a shell whatever `next` holds. */
export function linkCommand(next: string): string {
  return `fleet token link NAME${next === "/" ? "" : ` --next '${next.replaceAll("'", "%27")}'`}`;
}
