"""Response bodies of what one can choose from: agents, commands, models. Each with how it is made."""

import msgspec

from fleet.gateway.wire.items import Answer
from fleet.ports import Agent, OfferedModel, SlashCommand


class AgentItem(Answer):
    """An agent that a prompt can name; `mode` is `primary`, `subagent` or `all`; `native`: OpenCode brings it along."""

    name: str
    description: str
    mode: str
    native: bool


class CommandItem(Answer):
    """A command that a session can run."""

    name: str
    description: str
    agent: str | None
    source: str | None


class ModelItem(Answer):
    """A model that can be used; `providerID` and `modelID` name it in a prompt. The limits are in tokens."""

    provider_id: str = msgspec.field(name="providerID")
    provider_name: str
    model_id: str = msgspec.field(name="modelID")
    name: str
    is_default: bool
    context_tokens: int | None
    output_tokens: int | None


def agent_item(agent: Agent) -> AgentItem:
    """Return what the API shows of an agent."""
    return AgentItem(agent.name, agent.description, agent.mode, agent.native)


def command_item(command: SlashCommand) -> CommandItem:
    """Return what the API shows of a command."""
    return CommandItem(command.name, command.description, command.agent, command.source)


def model_item(model: OfferedModel) -> ModelItem:
    """Return what the API shows of a model."""
    return ModelItem(
        model.provider_id,
        model.provider_name,
        model.model_id,
        model.name,
        model.is_default,
        model.context_tokens,
        model.output_tokens,
    )
