/** The frame of every page: navigation, the top bar, the connection, the dialogs that open from anywhere. */
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { Activity, Clock, Cpu, Inbox, LayoutList, Plus, ScrollText, Search, Settings } from "lucide-react";
import { lazy, type ReactNode, Suspense, useEffect } from "react";
import { isMac } from "../browser/platform.ts";
import { keysOf } from "../core/keymap.ts";
import { oneLine } from "../core/text.ts";
import { sessionBeside, type Way } from "../features/fleet/navigation.ts";
import { runAction, useActions } from "../state/actions.ts";
import { useFleet, useMayChange } from "../state/context.tsx";
import { part } from "../state/parts.ts";
import { useCell } from "../state/store.ts";
import { CountBadge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { Keys } from "../ui/keys.tsx";
import { Empty } from "../ui/states.tsx";
import { say } from "../ui/toast.tsx";
import { ConnectionBadge } from "./connection-badge.tsx";
import { Overlays } from "./overlays.tsx";
import style from "./shell.module.css";

const LoginPage = lazy(
  part(() => import("../features/login/page.tsx").then(module => ({ default: module.LoginPage }))),
);

const PLACES = [
  { to: "/", label: "Fleet", icon: LayoutList, action: "go.fleet" },
  { to: "/inbox", label: "Inbox", icon: Inbox, action: "go.inbox" },
  { to: "/history", label: "History", icon: Clock, action: "go.history" },
  { to: "/log", label: "Log", icon: ScrollText, action: "go.log" },
  { to: "/processes", label: "Processes", icon: Cpu, action: "go.processes" },
  { to: "/settings", label: "Settings", icon: Settings, action: "go.settings" },
] as const;

function Nav(): ReactNode {
  const waiting = useCell(useFleet().inbox.items).length;
  return (
    <nav aria-label="Main" className={style.nav}>
      {PLACES.map(({ to, label, icon: Icon, action }) => (
        <Link
          key={to}
          to={to}
          className={style.place}
          activeOptions={{ exact: to === "/", includeSearch: false }}
          title={`${label} (${keysOf(action, isMac).join(" ")})`}
        >
          <Icon size={18} aria-hidden />
          <span className={style.placeName}>{label}</span>
          {to === "/inbox" && <CountBadge count={waiting} label="waiting" />}
        </Link>
      ))}
    </nav>
  );
}

function TopBar(): ReactNode {
  const mayChange = useMayChange();
  const caller = useCell(useFleet().caller);
  const info = useCell(useFleet().info);
  return (
    <header className={style.top}>
      <Link to="/" className={style.brand}>
        <Activity size={18} aria-hidden /> Fleet
      </Link>
      <button
        type="button"
        className={style.search}
        aria-label="Search or run a command"
        onClick={() => runAction("palette.open")}
      >
        <Search size={14} aria-hidden />
        <span>Search or run a command</span>
        <Keys keys={keysOf("palette.open", isMac)[0] ?? ""} />
      </button>
      <span className={style.gap} />
      {info?.rehearsal && (
        <span
          className={style.note}
          title="OpenCode has no provider of its own here. The scripted rehearsal model answers, and costs nothing."
        >
          rehearsal model
        </span>
      )}
      {caller && !mayChange && <span className={style.note}>read-only</span>}
      {mayChange && (
        <Button kind="primary" onClick={() => runAction("session.new")} className={style.new}>
          <Plus size={16} aria-hidden /> New Session
        </Button>
      )}
      <ConnectionBadge />
    </header>
  );
}

/** Registers the actions that lead from one session to another. */
function useSessionKeys(): void {
  const { sessions } = useFleet().fleet;
  const navigate = useNavigate();
  const path = useRouterState({ select: state => state.location.pathname });
  const openId = /^\/s\/([^/]+)/.exec(path)?.[1] ?? null;
  const go = (way: Way, nothing: string) => () => {
    const id = sessionBeside(sessions, openId, way);
    if (id === null) say(nothing);
    else void navigate({ to: "/s/$id", params: { id } });
  };
  useActions([
    { id: "session.previous", label: "Previous session", run: go("previous", "There is no session to go to.") },
    { id: "session.next", label: "Next session", run: go("next", "There is no session to go to.") },
    {
      id: "session.next-needing",
      label: "Next session that needs you",
      run: go("next-needing", "No other session needs you."),
    },
  ]);
}

/** Registers the actions of every page. */
function useEverywhere(): void {
  const navigate = useNavigate();
  const mayChange = useMayChange();
  useActions([
    ...PLACES.map(({ to, label, action }) => ({
      id: action,
      label: `Go to ${label}`,
      run: () => void navigate({ to }),
    })),
    mayChange && { id: "session.new", label: "New session", run: () => void navigate({ to: "/new", search: {} }) },
  ]);
}

const TITLES: Readonly<Record<string, string>> = {
  "/": "Fleet",
  "/inbox": "Inbox",
  "/history": "History",
  "/log": "Log",
  "/processes": "Processes",
  "/settings": "Settings",
  "/new": "New session",
  "/login": "Log in",
};

/** The tab's title: the number of entries in the inbox, and the open page. */
function useTitle(): void {
  const { inbox, fleet } = useFleet();
  const waiting = useCell(inbox.items).length;
  const path = useRouterState({ select: state => state.location.pathname });
  useCell(fleet.sessions.keys);
  const id = /^\/s\/([^/]+)/.exec(path)?.[1];
  const name = id === undefined ? (TITLES[path] ?? "") : oneLine(fleet.sessions.get(id)?.title ?? "Session", 80);
  useEffect(() => {
    const words = name === "Fleet" || name === "" ? "Fleet" : `${name} · Fleet`;
    document.title = waiting > 0 ? `(${waiting}) ${words}` : words;
  }, [waiting, name]);
}

export function Shell(): ReactNode {
  const { phase } = useCell(useFleet().hub.connection);
  useEverywhere();
  useSessionKeys();
  useTitle();
  return (
    <div className={style.shell} data-connection={phase}>
      <a href="#main" className={style.skip}>
        Skip to content
      </a>
      <TopBar />
      <Nav />
      <main id="main" className={style.main} tabIndex={-1}>
        <Suspense fallback={null}>{phase === "denied" ? <LoginPage /> : <Outlet />}</Suspense>
      </main>
      <Overlays />
    </div>
  );
}

export function Missing(): ReactNode {
  return <Empty act={<Link to="/">Go to the fleet</Link>}>There is no page at this address.</Empty>;
}
