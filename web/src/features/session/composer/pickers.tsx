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

export function AgentPicker({ offered, item, value, onChange }: PickerProps): ReactNode {
  const agents = offered?.agents.filter(agent => agent.mode !== "subagent") ?? [];
  if (agents.length === 0) return null;
  return (
    <Select
      label="Agent"
      size="small"
      value={value ?? OWN}
      choices={[
        { value: OWN, label: item.agent ?? "agent" },
        ...agents
          .filter(agent => agent.name !== item.agent)
          .map(agent => ({ value: agent.name, label: oneLine(agent.name, 40) })),
      ]}
      onChange={next => onChange(next === OWN ? null : next)}
    />
  );
}

export function ModelPicker({ offered, item, value, onChange }: PickerProps): ReactNode {
  const models = offered?.models ?? [];
  if (models.length === 0) return null;
  const own = item.model === null ? null : `${item.model.providerID}/${item.model.modelID}`;
  const named = models.map(model => ({
    value: `${model.providerID}/${model.modelID}`,
    label: oneLine(model.name || model.modelID, 40),
  }));
  const ownLabel = named.find(each => each.value === own)?.label ?? item.model?.modelID ?? "model";
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
