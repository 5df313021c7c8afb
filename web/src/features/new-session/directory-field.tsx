/** Chooses a directory: type a path, take a recent one, or walk through the directories of the server. */
import { keepPreviousData } from "@tanstack/react-query";
import { CornerLeftUp, Folder, FolderGit2 } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useId, useState } from "react";
import { baseName, named, plain } from "../../core/text.ts";
import { api } from "../../state/api.ts";
import { useDocument } from "../../state/queries.ts";
import { said } from "../../state/trouble.ts";
import { Button } from "../../ui/button.tsx";
import { TextField } from "../../ui/field.tsx";
import type { FolderItem } from "../../wire/api.ts";
import style from "./new-session.module.css";

/** Return the directory at a path of the server, and its entries. */
export function useFolder(path: string, query = "") {
  const isPath = path.startsWith("/");
  const params = { query: { ...(isPath ? { path } : {}), ...(query === "" ? {} : { query }), limit: 200 } };
  return useDocument(["directories", path, query], () => api.GET("/api/directories", { params }), {
    enabled: path === "" || isPath,
    placeholderData: keepPreviousData,
    retry: false,
  });
}

type DirectoryFieldProps = {
  readonly value: string;
  readonly onChange: (path: string) => void;
  readonly recent: readonly string[];
  readonly error?: string | undefined;
};

export function DirectoryField({ value, onChange, recent, error }: DirectoryFieldProps): ReactNode {
  const [isBrowsing, setBrowsing] = useState(false);
  const folder = useFolder(value);
  const isGit = folder.data?.isGitRepo === true && folder.data.path !== undefined && value !== "";
  return (
    <div className={style.directory}>
      <TextField
        label="Directory"
        value={value}
        onChange={event => onChange(event.target.value)}
        placeholder="/home/me/project"
        spellCheck={false}
        autoComplete="off"
        error={error ?? (folder.isError && value !== "" ? said(folder.error).detail : undefined)}
        note={
          value !== "" && folder.isSuccess && !folder.isPlaceholderData ? (
            <span className={style.kind}>
              {isGit ? <FolderGit2 size={14} aria-hidden /> : <Folder size={14} aria-hidden />}
              {isGit ? "A git repository" : "Not a git repository: worktree and clone need one"}
            </span>
          ) : undefined
        }
      />
      <div className={style.recent}>
        {recent.map(path => (
          <Button
            key={path}
            size="small"
            onClick={() => onChange(path)}
            title={plain(path)}
            aria-pressed={path === value}
          >
            {named(baseName(path))}
          </Button>
        ))}
        <Button size="small" aria-expanded={isBrowsing} onClick={() => setBrowsing(!isBrowsing)}>
          {isBrowsing ? "Close the browser" : "Browse…"}
        </Button>
      </div>
      {isBrowsing && <Browser path={value} onOpen={onChange} />}
    </div>
  );
}

function Browser({ path, onOpen }: { readonly path: string; readonly onOpen: (path: string) => void }): ReactNode {
  const [query, setQuery] = useState("");
  const folder = useFolder(path, query);
  const label = useId();
  const found = folder.data;
  if (folder.isError) return <p role="alert">{said(folder.error).detail}</p>;
  if (!found) return <p className={style.note}>Loading…</p>;
  const open = (next: string) => {
    setQuery("");
    onOpen(next);
  };
  return (
    <div className={style.browser}>
      <div className={style.browserHead}>
        <span id={label} className={style.path} title={plain(found.path)}>
          {plain(found.path)}
        </span>
        {found.path !== path && (
          <Button size="small" onClick={() => open(found.path)}>
            Choose this one
          </Button>
        )}
        <input
          className={style.search}
          placeholder="Search below"
          aria-label="Search the directories below"
          value={query}
          onChange={event => setQuery(event.target.value)}
        />
      </div>
      <ul className={style.entries} aria-labelledby={label} onKeyDown={event => walk(event, found, open)}>
        {found.parent !== null && query === "" && (
          <li>
            <Entry name=".." icon={<CornerLeftUp size={14} aria-hidden />} onOpen={() => open(found.parent ?? "/")} />
          </li>
        )}
        {found.entries.map(entry => (
          <li key={entry.path}>
            <Entry
              name={query === "" ? entry.name : entry.path.slice(found.path.length).replace(/^\//, "")}
              icon={
                entry.isGitRepo ? (
                  <FolderGit2 size={14} aria-hidden className={style.git} />
                ) : (
                  <Folder size={14} aria-hidden />
                )
              }
              note={entry.isGitRepo ? "git" : ""}
              onOpen={() => open(entry.path)}
            />
          </li>
        ))}
        {found.entries.length === 0 && (
          <li className={style.note}>
            {query === "" ? "There is no directory in here." : "No directory below has this in its name."}
          </li>
        )}
      </ul>
      {found.total > found.entries.length && (
        <p className={style.note}>
          The first {found.entries.length} of {found.total}. Search to find the others.
        </p>
      )}
    </div>
  );
}

type EntryProps = {
  readonly name: string;
  readonly icon: ReactNode;
  readonly note?: string;
  readonly onOpen: () => void;
};

function Entry({ name, icon, note = "", onOpen }: EntryProps): ReactNode {
  return (
    <button type="button" className={style.entry} onClick={onOpen}>
      {icon}
      <span>{named(name)}</span>
      {note && <span className={style.badge}>{note}</span>}
    </button>
  );
}

/** Arrow keys walk through the entries, Backspace goes up. */
function walk(event: KeyboardEvent<HTMLUListElement>, folder: FolderItem, open: (path: string) => void): void {
  if (event.key === "Backspace" && folder.parent !== null) {
    event.preventDefault();
    open(folder.parent);
    return;
  }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
  const buttons = [...event.currentTarget.querySelectorAll("button")];
  const index = buttons.indexOf(document.activeElement as HTMLButtonElement);
  buttons[Math.max(0, Math.min(buttons.length - 1, index + (event.key === "ArrowDown" ? 1 : -1)))]?.focus();
}
