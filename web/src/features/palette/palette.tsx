/** The palette: finds every action and every session by a few letters. */
import { Dialog as Base } from "@base-ui/react/dialog";
import { useNavigate } from "@tanstack/react-router";
import { type KeyboardEvent, type ReactNode, useId, useMemo, useRef, useState } from "react";
import { isMac } from "../../browser/platform.ts";
import { setTheme } from "../../browser/theme.ts";
import { type ActionId, keysOf } from "../../core/keymap.ts";
import { oneLine } from "../../core/text.ts";
import { actions } from "../../state/actions.ts";
import { useCommand, useFleet, useIsConnected, useMayChange } from "../../state/context.tsx";
import { resume } from "../../state/resume.ts";
import { useCell } from "../../state/store.ts";
import { line } from "../../state/trouble.ts";
import { Keys } from "../../ui/keys.tsx";
import { Mark } from "../../ui/mark.tsx";
import { say, sayError } from "../../ui/toast.tsx";
import type { SessionItem } from "../../wire/types.ts";
import { type Entry, entriesFor, type Reach, type Verb } from "./entries.ts";
import style from "./palette.module.css";
import { recentIds, remember } from "./recent.ts";

export function Palette({ onClose }: { readonly onClose: () => void }): ReactNode {
  const field = useRef<HTMLInputElement>(null);
  return (
    <Base.Root open onOpenChange={open => !open && onClose()}>
      <Base.Portal>
        <Base.Backdrop className={style.backdrop} />
        <Base.Popup className={style.popup} initialFocus={field} aria-label="Command palette">
          <Finder field={field} onClose={onClose} />
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}

type FinderProps = { readonly field: React.RefObject<HTMLInputElement | null>; readonly onClose: () => void };

function Finder({ field, onClose }: FinderProps): ReactNode {
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const reach = useReach();
  const recent = useMemo(recentIds, []);
  const entries = useMemo(() => entriesFor(query, reach, recent), [query, reach, recent]);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const chosen = Math.min(at, entries.length - 1);

  const take = (entry: Entry): void => {
    if (entry.section !== "Search") remember(entry.id);
    onClose();
    // After the palette has returned the focus: the entry's action may take it.
    setTimeout(entry.run);
  };
  const choose = (index: number): void => {
    const next = (index + entries.length) % entries.length;
    setAt(next);
    list.current?.querySelector(`[id="${id}-${next}"]`)?.scrollIntoView({ block: "nearest" });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const entry = entries[chosen];
    if (event.nativeEvent.isComposing) return;
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter" && entry) take(entry);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <input
        ref={field}
        role="combobox"
        aria-label="Search actions and sessions"
        aria-expanded
        aria-controls={id}
        aria-activedescendant={`${id}-${chosen}`}
        aria-autocomplete="list"
        autoComplete="off"
        spellCheck={false}
        className={style.field}
        placeholder="An action, a session, or “abort parser”"
        value={query}
        onKeyDown={onKeyDown}
        onChange={event => {
          setQuery(event.target.value);
          setAt(0);
          list.current?.scrollTo(0, 0);
        }}
      />
      <div ref={list} id={id} role="listbox" aria-label="What can be done" className={style.list}>
        {entries.map((entry, index) => (
          <EntryRow
            key={`${entry.section}/${entry.id}`}
            id={`${id}-${index}`}
            entry={entry}
            isFirst={entries[index - 1]?.section !== entry.section}
            isChosen={index === chosen}
            onChoose={() => setAt(index)}
            onTake={() => take(entry)}
          />
        ))}
      </div>
    </>
  );
}

type EntryRowProps = {
  readonly id: string;
  readonly entry: Entry;
  /** Whether its section begins here. */
  readonly isFirst: boolean;
  readonly isChosen: boolean;
  readonly onChoose: () => void;
  readonly onTake: () => void;
};

function EntryRow({ id, entry, isFirst, isChosen, onChoose, onTake }: EntryRowProps): ReactNode {
  const keys = entry.action === undefined ? undefined : keysOf(entry.action as ActionId, isMac)[0];
  return (
    <>
      {isFirst && (
        <div role="presentation" className={style.section}>
          {entry.section}
        </div>
      )}
      {/* biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus and names the chosen one */}
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the field hears the keys */}
      <div
        id={id}
        role="option"
        aria-selected={isChosen}
        className={style.entry}
        onPointerMove={onChoose}
        onClick={onTake}
      >
        {entry.look && <Mark {...entry.look} isShort />}
        <span className={style.label}>
          <Marked text={entry.label} marks={entry.marks} />
        </span>
        {entry.note && <span className={style.note}>{entry.note}</span>}
        {keys && <Keys keys={keys} />}
      </div>
    </>
  );
}

function Marked({ text, marks }: { readonly text: string; readonly marks: Entry["marks"] }): ReactNode {
  const pieces: ReactNode[] = [];
  let end = 0;
  for (const [from, to] of marks) {
    pieces.push(text.slice(end, from), <b key={from}>{text.slice(from, to)}</b>);
    end = to;
  }
  return [...pieces, text.slice(end)];
}

/** What the palette reaches. Sessions that come or go while it is open move none of its entries. */
function useReach(): Reach {
  const { sessions, isLoaded } = useFleet().fleet;
  const isKnown = useCell(isLoaded);
  // biome-ignore lint/correctness/useExhaustiveDependencies: before they are loaded, there are none
  const items = useMemo(() => [...sessions.values()], [sessions, isKnown]);
  const offered = useCell(actions);
  const navigate = useNavigate();
  const act = useVerb();
  const may = useMayChange();
  const mayChange = useIsConnected() && may;
  return useMemo(
    () => ({
      actions: offered,
      sessions: items,
      mayChange,
      open: id => void navigate({ to: "/s/$id", params: { id } }),
      act,
      setTheme,
      search: words => void navigate({ to: "/history", search: { q: words } }),
    }),
    [offered, items, mayChange, navigate, act],
  );
}

const DONE = { abort: "aborted", stop: "stopped", resume: "resumed" } as const;

function useVerb(): Reach["act"] {
  const command = useCommand();
  return useMemo(() => {
    async function act(verb: Verb["word"], item: SessionItem): Promise<void> {
      const path = `/api/sessions/${item.id}`;
      const title = oneLine(item.title, 60);
      try {
        if (verb === "resume") await resume(command, item.id);
        else await (verb === "stop" ? command("DELETE", path) : command("POST", `${path}/abort`));
        say(
          `${title} is ${DONE[verb]}`,
          verb === "stop" ? { label: "Resume", run: () => void act("resume", item) } : undefined,
        );
      } catch (error) {
        sayError(`${title} is not ${DONE[verb]}`, line(error));
      }
    }
    return (verb, item) => void act(verb.word, item);
  }, [command]);
}
