/** The choice of agent and model for this prompt; without one, those of the session. */
import type { ReactNode } from "react";
import { oneLine } from "../../../core/text.ts";
import { useCell } from "../../../state/store.ts";
import { Select } from "../../../ui/select.tsx";
import type { OfferItem, SessionItem } from "../../../wire/types.ts";
import { useOpen } from "../open.tsx";

type PickerProps = {
  readonly offered: OfferItem | undefined;
  readonly item: SessionItem;
  readonly value: string | null;
  readonly onChange: (value: string | null) => void;
};

/** No choice: the session's own value. */
const OWN = "";
/** The agent that OpenCode uses if a prompt names none. */
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
  const answered = useLastModel();
  if (models.length === 0) return null;
  const own = item.model ?? models.find(model => model.modelID === answered) ?? onlyDefault(models);
  const ownKey = own === null ? null : `${own.providerID}/${own.modelID}`;
  const named = models.map(model => ({
    value: `${model.providerID}/${model.modelID}`,
    label: oneLine(model.name || model.modelID, 40),
  }));
  const ownLabel = named.find(each => each.value === ownKey)?.label ?? oneLine(own?.modelID ?? "default model", 40);
  return (
    <Select
      label="Model"
      size="small"
      value={value ?? OWN}
      choices={[{ value: OWN, label: ownLabel }, ...named.filter(each => each.value !== ownKey)]}
      onChange={next => onChange(next === OWN ? null : next)}
    />
  );
}

/** The model of the newest answer: OpenCode continues with it if a prompt names none. */
function useLastModel(): string | null {
  const { transcript } = useOpen();
  useCell(transcript.shape);
  const { fold } = transcript;
  const answers = fold.messages().map(id => fold.info(id));
  return answers.findLast(info => info?.role === "assistant" && info.model !== "")?.model ?? null;
}

/** Each provider has a default, and OpenCode decides which provider it uses. */
function onlyDefault(models: OfferItem["models"]): OfferItem["models"][number] | null {
  const defaults = models.filter(model => model.isDefault);
  return defaults.length === 1 ? (defaults[0] ?? null) : null;
}
