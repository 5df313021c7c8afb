/** The addresses of the page. The address names everything that is shown, so that every view is a link. */
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  parseSearchWith,
  stringifySearchWith,
} from "@tanstack/react-router";
import { FleetPage } from "../features/fleet/page.tsx";
import { part } from "../state/parts.ts";
import { Failure } from "./errors.tsx";
import { Missing, Shell } from "./shell.tsx";

/** Return the text of a search parameter, nothing for an empty one. */
function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined;
}

function oneOf<Value extends string>(value: unknown, values: readonly Value[]): Value | undefined {
  return values.find(each => each === value);
}

/** Return the parameters that are set: the address has no others. */
function given<Search extends Record<string, unknown>>(search: Search): Partial<Search> {
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined)) as Partial<Search>;
}

const root = createRootRoute({ component: Shell, notFoundComponent: Missing, errorComponent: Failure });

const fleet = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: search =>
    given({
      q: text(search.q),
      group: oneOf(search.group, ["state", "repository", "parent", "tag", "host"] as const),
      sort: oneOf(search.sort, ["changed", "age", "cost", "title"] as const),
    }),
  component: FleetPage, // not loaded separately: it is the first page that most people see
});

const inbox = createRoute({
  getParentRoute: () => root,
  path: "/inbox",
  component: lazyRouteComponent(
    part(() => import("../features/inbox/page.tsx")),
    "InboxPage",
  ),
});

const session = createRoute({
  getParentRoute: () => root,
  path: "/s/$id",
  validateSearch: search =>
    given({
      tab: oneOf(search.tab, ["talk", "diffs", "files", "log"] as const),
      turn: text(search.turn),
      at: text(search.at),
      file: text(search.file),
      line: text(search.line),
      message: text(search.message),
    }),
  component: lazyRouteComponent(
    part(() => import("./session-route.tsx")),
    "SessionRoute",
  ),
});

const conversation = createRoute({
  getParentRoute: () => root,
  path: "/s/$id/a/$conversation",
  validateSearch: search => given({ at: text(search.at) }),
  component: lazyRouteComponent(
    part(() => import("./session-route.tsx")),
    "ConversationRoute",
  ),
});

const newSession = createRoute({
  getParentRoute: () => root,
  path: "/new",
  validateSearch: search => given({ directory: text(search.directory), parent: text(search.parent) }),
  component: FleetPage,
});

const history = createRoute({
  getParentRoute: () => root,
  path: "/history",
  validateSearch: search =>
    given({
      q: text(search.q),
      status: text(search.status),
      from: text(search.from),
      to: text(search.to),
      offset: text(search.offset),
    }),
  component: lazyRouteComponent(
    part(() => import("../features/history/page.tsx")),
    "HistoryPage",
  ),
});

const log = createRoute({
  getParentRoute: () => root,
  path: "/log",
  validateSearch: search =>
    given({
      session: text(search.session),
      type: text(search.type),
      actor: text(search.actor),
      from: text(search.from),
      to: text(search.to),
      at: text(search.at),
    }),
  component: lazyRouteComponent(
    part(() => import("../features/audit/page.tsx")),
    "AuditPage",
  ),
});

const processes = createRoute({
  getParentRoute: () => root,
  path: "/processes",
  component: lazyRouteComponent(
    part(() => import("../features/settings/processes.tsx")),
    "ProcessesPage",
  ),
});

const settings = createRoute({
  getParentRoute: () => root,
  path: "/settings",
  component: lazyRouteComponent(
    part(() => import("../features/settings/page.tsx")),
    "SettingsPage",
  ),
});

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: search => given({ next: text(search.next) }),
  component: lazyRouteComponent(
    part(() => import("../features/login/page.tsx")),
    "LoginPage",
  ),
});

export const router = createRouter({
  routeTree: root.addChildren([
    fleet,
    inbox,
    session,
    conversation,
    newSession,
    history,
    log,
    processes,
    settings,
    login,
  ]),
  // Parameters of the address are text: `1e5` is a word, and `turn=2` needs no quotes.
  parseSearch: parseSearchWith(value => value),
  stringifySearch: stringifySearchWith(String),
  defaultPreload: "intent",
  defaultErrorComponent: Failure,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
