/** Where a person continues after the login. The address may come from another person's link: it is not trusted. */

const HERE = "http://here.invalid";
const ADDRESS_CHARS_MAX = 1_000;

/**
 * Return the address as a path of this page, null if a browser would leave the page with it.
 *
 * Browsers drop tabs and newlines, read `\` as `/`, and `//host` as a host: so the browser's own parser decides.
 */
export function ownPath(address: string): string | null {
  if (!address.startsWith("/") || address.length > ADDRESS_CHARS_MAX || !URL.canParse(address, HERE)) return null;
  const { origin, pathname, search, hash } = new URL(address, HERE);
  return origin !== HERE || pathname.startsWith("//") ? null : pathname + search + hash;
}

/** Return where to continue: at the address, if it belongs to this page; after the login, at the target of its link. */
export function nextOf(path: string, search: string): string {
  const next = path === "/login" ? new URLSearchParams(search).get("next") : path + search;
  return ownPath(next ?? "/") ?? "/";
}

/** Return the command that makes a link to `next`, quoted so that a shell runs nothing that `next` contains. */
export function linkCommand(next: string): string {
  return `fleet token link NAME${next === "/" ? "" : ` --next '${next.replaceAll("'", "%27")}'`}`;
}
