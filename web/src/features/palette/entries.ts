/** The palette's entries for the typed text: actions, sessions, actions on a session, places. */
import { THEMES } from "../../browser/theme.ts";
import { placeOf } from "../../core/filter.ts";
import { fuzzy, type Match } from "../../core/fuzzy.ts";
import { KEYMAP, PRECEDENCE } from "../../core/keymap.ts";
import { hasEnded, isInTurn, lookOf, needsYou } from "../../core/status.ts";
import { baseName, oneLine } from "../../core/text.ts";
import type { Action } from "../../state/actions.ts";
import type { SessionItem } from "../../wire/types.ts";

export type Entry = {
  /** A stable id: recent entries are remembered by it. */
  readonly id: string;
  readonly section: Section;
  readonly label: string;
  readonly marks: Match["marks"];
  readonly note: string;
  readonly look?: ReturnType<typeof lookOf>;
  /** The keys that have the same effect. */
  readonly action?: string;
  readonly run: () => void;
};

export type Section = "Recent" | "Needs you" | "Acts on a session" | "Sessions" | "Actions" | "Theme" | "Search";

export type Verb = {
  readonly word: "abort" | "stop" | "resume";
  readonly label: string;
  readonly test: (item: SessionItem) => boolean;
};

const VERBS: readonly Verb[] = [
  { word: "abort", label: "Abort", test: item => isInTurn(item) },
  { word: "stop", label: "Stop", test: item => !hasEnded(item.status) },
  { word: "resume", label: "Resume", test: item => hasEnded(item.status) },
];

export type Reach = {
  readonly actions: readonly Action[];
  readonly sessions: readonly SessionItem[];
  readonly mayChange: boolean;
  readonly open: (id: string) => void;
  readonly act: (verb: Verb, item: SessionItem) => void;
  readonly setTheme: (theme: (typeof THEMES)[number]["value"]) => void;
  readonly search: (words: string) => void;
};

const SESSIONS_MAX = 12;
const ACTS_MAX = 8;
const RECENT_MAX = 6;
const FEW = 5;

/** These move the cursor of a list, which is not useful in a palette. */
const UNSPOKEN = new Set(["palette.open", "list.down", "list.up", "list.select-down", "list.select-up"]);

/** Return the entries, in the order in which they are shown; those of one section are together. */
export function entriesFor(query: string, reach: Reach, recent: readonly string[]): readonly Entry[] {
  const words = query.trim();
  if (words === "") return withoutQuery(reach, recent);
  const ranked = [sessionEntries(words, reach), actionEntries(words, reach), themeEntries(words, reach)]
    .filter(entries => entries.length > 0)
    .sort((one, other) => (other[0]?.score ?? 0) - (one[0]?.score ?? 0));
  return [...actEntries(words, reach), ...ranked.flat(), searchEntry(words, reach)];
}

function withoutQuery(reach: Reach, recent: readonly string[]): readonly Entry[] {
  const all = [
    ...sessionEntries("", reach, reach.sessions.length),
    ...actionEntries("", reach),
    ...themeEntries("", reach),
  ];
  const byId = new Map(all.map(entry => [entry.id, entry]));
  const used = recent.flatMap(id => byId.get(id) ?? []).slice(0, RECENT_MAX);
  const taken = new Set(used.map(entry => entry.id));
  const needing = new Set(reach.sessions.filter(needsYou).map(item => item.id));
  return [
    ...used.map(entry => ({ ...entry, section: "Recent" as const })),
    ...all
      .filter(entry => needing.has(entry.id) && !taken.has(entry.id))
      .slice(0, FEW)
      .map(entry => ({ ...entry, section: "Needs you" as const })),
    ...all.filter(entry => entry.section !== "Sessions" && !taken.has(entry.id)),
  ];
}

type Ranked = Entry & { readonly score: number };

function best(entries: readonly Ranked[], max = entries.length): readonly Ranked[] {
  return [...entries].sort((one, other) => other.score - one.score).slice(0, max);
}

function sessionEntries(words: string, reach: Reach, max = SESSIONS_MAX): readonly Ranked[] {
  return best(
    reach.sessions.flatMap(item => {
      const found = findSession(words, item);
      return found === null ? [] : [{ ...sessionEntry(item, found), run: () => reach.open(item.id) }];
    }),
    max,
  );
}

/** Match the title, or title and place together; an id by its beginning. */
function findSession(words: string, item: SessionItem): Match | null {
  if (words.length >= 6 && [item.id, item.opencodeId].some(id => id.startsWith(words)))
    return { score: 100, marks: [] };
  const title = oneLine(item.title);
  const byTitle = fuzzy(words, title);
  if (byTitle !== null) return byTitle;
  const wide = fuzzy(words, [title, baseName(placeOf(item)), item.branch ?? "", ...item.tags].join(" "));
  return wide && { score: wide.score - 10, marks: [] };
}

function sessionEntry(item: SessionItem, match: Match): Omit<Ranked, "run"> {
  const look = lookOf(item.status);
  return {
    id: item.id,
    section: "Sessions",
    label: oneLine(item.title),
    marks: match.marks,
    note: oneLine(baseName(placeOf(item)), 40),
    look,
    score: match.score + (hasEnded(item.status) ? -5 : 0),
  };
}

function actionEntries(words: string, { actions }: Reach): readonly Ranked[] {
  const newest = new Map(actions.map(action => [action.id, action]));
  return best(
    [...newest.values()].sort(byPlace).flatMap(action => {
      if (UNSPOKEN.has(action.id)) return [];
      const match = fuzzy(words, action.label) ?? weak(fuzzy(words, `${action.label} ${action.words ?? ""}`));
      return match === null
        ? []
        : [{ ...entryOf(action.label, match), id: action.id, action: action.id, run: action.run }];
    }),
  );
}

/** Put the entries of the open page before those that work everywhere. */
function byPlace(one: Action, other: Action): number {
  return placeInTable(one.id) - placeInTable(other.id);
}

function placeInTable(id: string): number {
  const at = KEYMAP.findIndex(binding => binding.action === id);
  const binding = KEYMAP[at];
  return binding === undefined ? -1 : PRECEDENCE.indexOf(binding.where) * KEYMAP.length + at;
}

function weak(match: Match | null): Match | null {
  return match && { score: match.score - 10, marks: [] };
}

function entryOf(label: string, match: Match): Omit<Ranked, "id" | "run"> {
  return { section: "Actions", label, marks: match.marks, note: "", score: match.score };
}

function themeEntries(words: string, reach: Reach): readonly Ranked[] {
  return best(
    THEMES.flatMap(({ value, label }) => {
      const name = `Theme: ${label.toLowerCase()}`;
      const match = fuzzy(words, name);
      if (match === null) return [];
      return [
        { ...entryOf(name, match), section: "Theme" as const, id: `theme.${value}`, run: () => reach.setTheme(value) },
      ];
    }),
  );
}

/** "abort parser": a verb, and words for a session. */
function actEntries(words: string, reach: Reach): readonly Entry[] {
  if (!reach.mayChange) return [];
  const [first = "", ...rest] = words.split(/\s+/);
  const verbs = first.length < 2 ? [] : VERBS.filter(verb => verb.word.startsWith(first.toLowerCase()));
  return verbs.flatMap(verb => {
    const items = reach.sessions.filter(verb.test);
    const found = items.flatMap(item => {
      const match = findSession(rest.join(" "), item);
      return match === null ? [] : [{ item, match, score: match.score }];
    });
    return found
      .sort((one, other) => other.score - one.score)
      .slice(0, ACTS_MAX)
      .map(
        ({ item, match }): Entry => ({
          ...sessionEntry(item, match),
          id: `${verb.word}/${item.id}`,
          section: "Acts on a session",
          label: `${verb.label} ${oneLine(item.title)}`,
          marks: match.marks.map(([from, to]) => [from + verb.label.length + 1, to + verb.label.length + 1] as const),
          run: () => reach.act(verb, item),
        }),
      );
  });
}

function searchEntry(words: string, reach: Reach): Entry {
  return {
    id: "search",
    section: "Search",
    label: `Search the history for “${words}”`,
    marks: [],
    note: "titles, prompts, answers, tool output",
    run: () => reach.search(words),
  };
}
