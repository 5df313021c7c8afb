/** Which agent and which model answer this prompt; without a choice, those of the session. */
import type { ReactNode } from "react";
import { oneLine } from "../../../core/text.ts";
import type { Offered } from "../../../state/session.ts";
import { Select } from "../../../ui/select.tsx";
import type { SessionItem } from "../../../wire/types.ts";

type PickerProps = {
  readonly offered: Offered | undefined;
  readonly item: SessionItem;
  readonly value: string | null;
  readonly onChange: (value: string | null) => void;
};

/** No choice: what the session has. */
const OWN = "";
/** The agent that OpenCode takes where none is named. */
const DEFAULT_AGENT = "build";

export function AgentPicker({ offered, item, value, onChange }: PickerProps): ReactNode {
  const agents = offered?.agents.filter(agent => agent.mode !== "subagent") ?? [];
  const [first] = agents;
  if (first === undefined) return null;
  const own = item.agent ?? (agents.find(agent => agent.name === DEFAULT_AGENT) ?? first).name;
  return (
    <Select
      label="Agent"
      size="small"
      value={value ?? OWN}
      choices={[
        { value: OWN, label: oneLine(own, 40) },
        ...agents
          .filter(agent => agent.name !== own)
          .map(agent => ({ value: agent.name, label: oneLine(agent.name, 40) })),
      ]}
      onChange={next => onChange(next === OWN ? null : next)}
    />
  );
}

export function ModelPicker({ offered, item, value, onChange }: PickerProps): ReactNode {
  const models = offered?.models ?? [];
  if (models.length === 0) return null;
  const chosen = item.model ?? models.find(model => model.isDefault) ?? null;
  const own = chosen === null ? null : `${chosen.providerID}/${chosen.modelID}`;
  const named = models.map(model => ({
    value: `${model.providerID}/${model.modelID}`,
    label: oneLine(model.name || model.modelID, 40),
  }));
  const ownLabel = named.find(each => each.value === own)?.label ?? chosen?.modelID ?? "model";
  return (
    <Select
      label="Model"
      size="small"
      value={value ?? OWN}
      choices={[{ value: OWN, label: ownLabel }, ...named.filter(each => each.value !== own)]}
      onChange={next => onChange(next === OWN ? null : next)}
    />
  );
}
