/**
 * The one table of keyboard shortcuts. It makes the list of `?`, the palette, the tooltips and the tests.
 *
 * `keys` are in tinykeys' notation; a blank separates the steps of a sequence. Single letters work only outside of fields
 * and can be switched off (WCAG 2.1.4). `where` names the view or focused thing that has to be there.
 */

export type Where = "everywhere" | "list" | "session" | "inbox" | "changes" | "time";

export type Binding = {
  readonly action: string;
  readonly label: string;
  readonly where: Where;
  readonly keys: readonly string[];
};

export const KEYMAP = [
  { action: "palette.open", label: "Open the command palette", where: "everywhere", keys: ["$mod+k"] },
  { action: "keys.show", label: "Show all keys", where: "everywhere", keys: ["?"] },
  { action: "filter.focus", label: "Filter the list", where: "everywhere", keys: ["/"] },
  { action: "go.fleet", label: "Go to the fleet", where: "everywhere", keys: ["g f"] },
  { action: "go.inbox", label: "Go to the inbox", where: "everywhere", keys: ["g i"] },
  { action: "go.history", label: "Go to the history", where: "everywhere", keys: ["g h"] },
  { action: "go.log", label: "Go to the log", where: "everywhere", keys: ["g l"] },
  { action: "go.processes", label: "Go to the processes", where: "everywhere", keys: ["g p"] },
  { action: "go.settings", label: "Go to the settings", where: "everywhere", keys: ["g s"] },
  { action: "session.new", label: "New session", where: "everywhere", keys: ["n"] },
  { action: "session.previous", label: "Previous session", where: "everywhere", keys: ["["] },
  { action: "session.next", label: "Next session", where: "everywhere", keys: ["]"] },
  { action: "session.next-needing", label: "Next session that needs you", where: "everywhere", keys: ["!"] },

  { action: "list.down", label: "Next row", where: "list", keys: ["j"] },
  { action: "list.up", label: "Previous row", where: "list", keys: ["k"] },
  { action: "list.open", label: "Open the row", where: "list", keys: ["o"] },
  { action: "list.peek", label: "Peek at the row", where: "list", keys: ["Space"] },
  { action: "list.select", label: "Select the row", where: "list", keys: ["x"] },
  { action: "list.select-down", label: "Extend the selection down", where: "list", keys: ["Shift+J"] },
  { action: "list.select-up", label: "Extend the selection up", where: "list", keys: ["Shift+K"] },
  { action: "list.menu", label: "Menu of the row", where: "list", keys: ["."] },

  { action: "composer.focus", label: "Write a prompt", where: "session", keys: ["c"] },
  { action: "session.abort", label: "Abort the running turn", where: "session", keys: ["$mod+."] },
  { action: "tab.talk", label: "Show the transcript", where: "session", keys: ["1"] },
  { action: "tab.diffs", label: "Show the diffs", where: "session", keys: ["2"] },
  { action: "tab.files", label: "Show the files", where: "session", keys: ["3"] },
  { action: "tab.log", label: "Show the session's log", where: "session", keys: ["4"] },

  { action: "request.once", label: "Allow once", where: "inbox", keys: ["y"] },
  { action: "request.always", label: "Allow always", where: "inbox", keys: ["a"] },
  { action: "request.reject", label: "Reject", where: "inbox", keys: ["x"] },
  { action: "request.open", label: "Open the session", where: "inbox", keys: ["o"] },
  { action: "request.retry", label: "Retry", where: "inbox", keys: ["r"] },
  { action: "request.down", label: "Next card", where: "inbox", keys: ["j"] },
  { action: "request.up", label: "Previous card", where: "inbox", keys: ["k"] },

  { action: "file.next", label: "Next file", where: "changes", keys: ["j"] },
  { action: "file.previous", label: "Previous file", where: "changes", keys: ["k"] },
  { action: "file.next-unviewed", label: "Next file not viewed", where: "changes", keys: ["n"] },
  { action: "file.previous-unviewed", label: "Previous file not viewed", where: "changes", keys: ["Shift+N"] },
  { action: "file.viewed", label: "Mark the file as viewed", where: "changes", keys: ["v"] },
  { action: "line.enter", label: "Go into the lines", where: "changes", keys: ["i"] },
  { action: "line.comment", label: "Comment on the line", where: "changes", keys: ["c"] },
  { action: "line.range", label: "Select a range of lines", where: "changes", keys: ["Shift+V"] },
  { action: "diff.split", label: "Split or unified", where: "changes", keys: ["s"] },
  { action: "diff.whitespace", label: "Hide or show whitespace", where: "changes", keys: ["w"] },

  { action: "time.earlier", label: "One event earlier", where: "time", keys: ["ArrowLeft"] },
  { action: "time.later", label: "One event later", where: "time", keys: ["ArrowRight"] },
  { action: "time.earlier-turn", label: "One turn earlier", where: "time", keys: ["Shift+ArrowLeft"] },
  { action: "time.later-turn", label: "One turn later", where: "time", keys: ["Shift+ArrowRight"] },
  { action: "time.now", label: "Back to now", where: "time", keys: ["Escape"] },
] as const satisfies readonly Binding[];

export type ActionId = (typeof KEYMAP)[number]["action"];

/** The order in which bindings with the same key are tried: the more specific place first. */
export const PRECEDENCE: readonly Where[] = ["time", "inbox", "changes", "session", "list", "everywhere"];

/** Return the keys of an action, as they are shown. */
export function keysOf(action: ActionId, mac: boolean): readonly string[] {
  const binding = KEYMAP.find(each => each.action === action);
  return binding ? binding.keys.map(keys => shown(keys, mac)) : [];
}

const NAMES: Readonly<Record<string, string>> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Space: "Space",
  Escape: "Esc",
};

/** Return a binding's keys for people: `⌘K`, `Ctrl+K`, `g f`. */
export function shown(keys: string, mac: boolean): string {
  return keys
    .split(" ")
    .map(press =>
      press
        .split("+")
        .map(key => {
          if (key === "$mod") return mac ? "⌘" : "Ctrl";
          if (key === "Shift") return mac ? "⇧" : "Shift";
          if (key === "Alt") return mac ? "⌥" : "Alt";
          return NAMES[key] ?? (key.length === 1 && press.includes("+") ? key.toUpperCase() : key);
        })
        .join(mac ? "" : "+"),
    )
    .join(" ");
}

/** Whether a binding is a single letter or sign, which only works outside of fields. */
export function isSingle(keys: string): boolean {
  return keys
    .split(" ")
    .every(press => !press.includes("$mod") && !press.includes("Control") && !press.includes("Alt"));
}
