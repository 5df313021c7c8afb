/** Fields that most sessions do not need: title, agent, model, parent, budget, tags. */
import type { ReactNode } from "react";
import { LOCAL, labelsOf, memoryOf } from "../../core/hosts.ts";
import type { Draft } from "../../core/new-session.ts";
import { plain } from "../../core/text.ts";
import { useFleet } from "../../state/context.tsx";
import { useHosts } from "../../state/hosts.ts";
import { useOffered } from "../../state/offers.ts";
import { Check, TextField } from "../../ui/field.tsx";
import { SuggestField, type Suggestion } from "../../ui/suggest.tsx";
import style from "./new-session.module.css";

type MoreProps = {
  readonly draft: Draft;
  readonly faults: Readonly<Partial<Record<keyof Draft, string>>>;
  readonly change: (part: Partial<Draft>) => void;
};

export function More({ draft, faults, change }: MoreProps): ReactNode {
  const offers = useOffered(draft.directory);
  const { fleet } = useFleet();
  const parents: Suggestion[] = [...fleet.sessions.values()]
    .filter(each => each.endedAt === null)
    .map(each => ({ value: each.id, note: plain(each.title) }));
  const agents = (offers?.agents ?? [])
    .filter(each => each.mode !== "subagent")
    .map(each => ({ value: each.name, note: plain(each.description).slice(0, 60) }));
  const models = (offers?.models ?? []).map(each => ({
    value: `${each.providerID}/${each.modelID}`,
    note: each.name,
  }));
  return (
    <div className={style.more}>
      <TextField
        label="Title"
        value={draft.title}
        onChange={event => change({ title: event.target.value })}
        maxLength={200}
        placeholder="By default the beginning of the prompt"
      />
      <div className={style.two}>
        <SuggestField
          label="Agent"
          value={draft.agent}
          onChange={agent => change({ agent })}
          suggestions={agents}
          placeholder="Default"
        />
        <SuggestField
          label="Model"
          value={draft.model}
          onChange={model => change({ model })}
          suggestions={models}
          placeholder="Default"
          error={faults.model}
        />
      </div>
      <SuggestField
        label="Parent"
        value={draft.parent}
        onChange={parent => change({ parent })}
        suggestions={parents}
        note="The session that gets a prompt when this one is done."
        placeholder="No session"
      />
      <div className={style.two}>
        <TextField
          label="Budget in dollars"
          inputMode="decimal"
          value={draft.usd}
          onChange={event => change({ usd: event.target.value })}
          placeholder="No limit"
          error={faults.usd}
        />
        <TextField
          label="Budget in minutes"
          inputMode="decimal"
          value={draft.minutes}
          onChange={event => change({ minutes: event.target.value })}
          placeholder="No limit"
          error={faults.minutes}
        />
      </div>
      <TextField
        label="Tags"
        value={draft.tags}
        onChange={event => change({ tags: event.target.value })}
        placeholder="auth, urgent"
      />
      <Room draft={draft} faults={faults} change={change} />
    </div>
  );
}

/** The fields for the host and the resources, which are shown only if there are several hosts. */
function Room({ draft, faults, change }: MoreProps): ReactNode {
  const { hosts } = useHosts();
  if (hosts.length < 2) return null;
  const names = hosts
    .filter(each => each.status === "up")
    .map(each => ({ value: each.name, note: each.name === LOCAL ? "the server's machine" : memoryOf(each) }));
  const labels = [...new Set(hosts.flatMap(each => labelsOf(each.labels)))].map(value => ({ value, note: "label" }));
  return (
    <>
      <SuggestField
        label="Host"
        value={draft.host}
        onChange={host => change({ host })}
        suggestions={[...names, ...labels]}
        note="The name of a machine, or labels that it must have."
        placeholder="Any host with room"
        error={faults.host}
      />
      <div className={style.two}>
        <TextField
          label="Cores"
          inputMode="decimal"
          value={draft.cpus}
          onChange={event => change({ cpus: event.target.value })}
          placeholder="As configured"
          error={faults.cpus}
        />
        <TextField
          label="Memory in MiB"
          inputMode="numeric"
          value={draft.memoryMb}
          onChange={event => change({ memoryMb: event.target.value })}
          placeholder="As configured"
          error={faults.memoryMb}
        />
      </div>
      <Check
        label="When its host is lost, resume on another one"
        checked={draft.resumesElsewhere}
        onChange={resumesElsewhere => change({ resumesElsewhere })}
      />
    </>
  );
}
