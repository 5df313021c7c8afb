"""What OpenCode offers in a directory: agents, commands, models and MCP servers. A repository may add its own."""

import msgspec


class Agent(msgspec.Struct, frozen=True):
    """An agent that can be named in a prompt. `mode` is `primary`, `subagent` or `all`; hidden agents are left out.

    `rules` are its permission rules as OpenCode applies them, in OpenCode's JSON; empty if it did not say.
    """

    name: str
    description: str = ""
    mode: str = "primary"
    native: bool = False
    rules: bytes = b""


class SlashCommand(msgspec.Struct, frozen=True):
    """A command that can be run in a session; `source` is OpenCode's name for its origin."""

    name: str
    description: str = ""
    agent: str | None = None
    source: str | None = None


class McpServers(msgspec.Struct, frozen=True):
    """The MCP servers of a directory. `are_starting`: OpenCode waits for some of them before it does any work."""

    names: tuple[str, ...]
    are_starting: bool


class OfferedModel(msgspec.Struct, frozen=True):
    """A model that can be used. `is_default`: its provider uses it when no model is named.

    The limits are in tokens, None where OpenCode reports none.
    """

    provider_id: str
    provider_name: str
    model_id: str
    name: str
    is_default: bool = False
    context_tokens: int | None = None
    output_tokens: int | None = None
