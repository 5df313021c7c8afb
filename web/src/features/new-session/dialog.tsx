/** The dialog for a new session: the prompt first, then where it works. Mod+Enter creates it. */
import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { isMac } from "../../browser/platform.ts";
import {
  type Draft,
  faults as faultsOf,
  hasMore,
  recentDirectories,
  STRATEGIES,
  strategyOf,
} from "../../core/new-session.ts";
import { age } from "../../core/text.ts";
import { api } from "../../state/api.ts";
import { useFleet, useIsConnected } from "../../state/context.tsx";
import { useHosts } from "../../state/hosts.ts";
import { useDocument } from "../../state/queries.ts";
import { useCell } from "../../state/store.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { TextArea } from "../../ui/field.tsx";
import { Keys } from "../../ui/keys.tsx";
import { ProblemCard } from "../../ui/states.tsx";
import { SuggestField, type Suggestion } from "../../ui/suggest.tsx";
import type { BranchItem } from "../../wire/types.ts";
import { create, draft as draftCell, refusal as refusalCell } from "./create.ts";
import { DirectoryField, useFolder } from "./directory-field.tsx";
import { More } from "./more.tsx";
import style from "./new-session.module.css";

type NewSessionProps = {
  readonly directory?: string;
  readonly parent?: string;
  /** The address that closing the dialog leads to. */
  readonly behind: string;
  readonly onClose: () => void;
  readonly onCreated: (id: string) => void;
};

/** Return the branches of the repository that resemble what is typed. */
function useBranches(directory: string, isGit: boolean, query: string): readonly Suggestion[] {
  const params = { query: { path: directory, query, limit: 50 } };
  const found = useDocument(["branches", directory, query], () => api.GET("/api/repositories/branches", { params }), {
    enabled: isGit,
    retry: false,
  });
  return (found.data ?? []).map(branch => ({ value: branch.name, note: noteOf(branch) }));
}

function noteOf(branch: BranchItem): string {
  if (branch.checkedOutAt !== null) return `checked out in ${branch.checkedOutAt}`;
  const when = `${age(Date.parse(branch.committedAt), Date.now())} ago`;
  return branch.kind === "remote" ? `remote, ${when}` : when;
}

export function NewSessionDialog({ directory, parent, behind, onClose, onCreated }: NewSessionProps): ReactNode {
  const { hub, fleet } = useFleet();
  const navigate = useNavigate();
  const isConnected = useIsConnected();
  const draft = useCell(draftCell);
  const refusal = useCell(refusalCell);
  const [isTried, setTried] = useState(false);
  const [isMore, setMore] = useState(false);
  const { hosts } = useHosts();
  if (!isMore && hasMore(draft)) setMore(true); // it stays open when the field is emptied again
  const prompt = useRef<HTMLTextAreaElement>(null);
  const recent = recentDirectories(fleet.sessions.values());
  const change = (part: Partial<Draft>) => draftCell.set({ ...draftCell.get(), ...part });

  useEffect(() => {
    const { directory: filled, parent: named } = draftCell.get();
    const part = {
      ...(filled === "" && (directory ?? recent[0]) ? { directory: directory ?? recent[0] ?? "" } : {}),
      ...(named === "" && parent ? { parent } : {}),
    };
    if (Object.keys(part).length > 0) draftCell.set({ ...draftCell.get(), ...part });
  }, [directory, parent, recent[0]]);

  const folder = useFolder(draft.directory);
  const isGit = draft.directory === "" || folder.isPlaceholderData ? null : (folder.data?.isGitRepo ?? null);
  const strategy = strategyOf(draft, isGit);
  const faults = isTried ? faultsOf(draft) : {};
  const branches = useBranches(draft.directory, isGit === true && strategy !== "existing", draft.branch);

  function submit(): void {
    setTried(true);
    if (Object.keys(faultsOf(draft)).length > 0 || !isConnected) return;
    const places = new Set(["/new", behind.replace(/[?#].*$/, "")]);
    onClose();
    void create(
      hub,
      draft,
      isGit,
      id => {
        // A person who has moved to another view stays there.
        if (places.has(location.pathname)) onCreated(id);
      },
      () => void navigate({ to: "/new", search: {} }),
    );
  }

  return (
    <Dialog
      open
      onOpenChange={open => !open && onClose()}
      title="New session"
      isWide
      initialFocus={prompt}
      foot={
        <>
          {!isConnected && (
            <span className={style.note}>The server does not respond: no session can be created now.</span>
          )}
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" onClick={submit} disabled={!isConnected}>
            Create <Keys keys={isMac ? "⌘↵" : "Ctrl+↵"} />
          </Button>
        </>
      }
    >
      <form
        className={style.form}
        onSubmit={event => {
          event.preventDefault();
          submit();
        }}
        onKeyDown={event => {
          if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) {
            event.preventDefault();
            submit();
          }
        }}
      >
        {refusal && <ProblemCard trouble={refusal} />}
        <TextArea
          label="Prompt"
          ref={prompt}
          value={draft.prompt}
          onChange={event => change({ prompt: event.target.value })}
          placeholder="The task. Leave it empty to begin with a conversation."
          rows={4}
        />
        <DirectoryField
          value={draft.directory}
          onChange={path => change({ directory: path })}
          recent={recent}
          error={faults.directory}
        />
        <fieldset className={style.strategies}>
          <legend>Isolation strategy</legend>
          {STRATEGIES.map(each => (
            <label key={each.value} className={style.strategy} data-off={each.needsGit && isGit === false}>
              <input
                type="radio"
                name="strategy"
                aria-label={each.name}
                aria-describedby={`strategy-${each.value}`}
                checked={strategy === each.value}
                disabled={each.needsGit && isGit === false}
                onChange={() => change({ strategy: each.value })}
              />
              <span>
                <strong>{each.name}</strong>
                <span id={`strategy-${each.value}`} className={style.sentence}>
                  {each.sentence}
                </span>
              </span>
            </label>
          ))}
        </fieldset>
        {strategy !== "existing" && (
          <SuggestField
            label="Branch"
            value={draft.branch}
            onChange={branch => change({ branch })}
            suggestions={branches}
            isFiltered
            placeholder="By default a new branch, named after the title"
            note="An existing branch is checked out; any other is created."
          />
        )}
        <details className={style.details} open={isMore}>
          <summary>More: title, agent, model, parent, budget, tags{hosts.length > 1 && ", host, room"}</summary>
          <More draft={draft} faults={faults} change={change} />
        </details>
        <button type="submit" hidden />
      </form>
    </Dialog>
  );
}
