"""Response bodies of choices: agents, commands, models, directories, roots."""

from typing import Literal

import msgspec

from fleet.wire.items import WireItem


class AgentItem(WireItem, kw_only=True):
    """An agent for prompts; `mode` is `primary`, `subagent` or `all`; `native`: it is built into OpenCode."""

    name: str
    description: str
    mode: str
    native: bool


class CommandItem(WireItem, kw_only=True):
    """A command that a session can run."""

    name: str
    description: str
    agent: str | None
    source: str | None


class ModelItem(WireItem, kw_only=True):
    """A model that can be used; `providerID` and `modelID` name it in a prompt. The limits are in tokens."""

    provider_id: str = msgspec.field(name="providerID")
    provider_name: str
    model_id: str = msgspec.field(name="modelID")
    name: str
    is_default: bool
    context_tokens: int | None
    output_tokens: int | None


class OfferItem(WireItem, kw_only=True):
    """Agents, commands and models for a new session in a directory, as an instance offered them at `asOf`."""

    as_of: str | None
    instance_id: str | None
    agents: list[AgentItem]
    commands: list[CommandItem]
    models: list[ModelItem]


class FolderEntryItem(WireItem, kw_only=True):
    """A directory in a directory; `path` is the real path, of a symlink its target."""

    name: str
    path: str
    is_git_repo: bool


class FolderItem(WireItem, kw_only=True):
    """A directory by its real path. `parent` is null where the allowed roots end; `total` counts all entries.

    With a query, the entries are the matches below it; `isTruncated`: there may be more.
    """

    path: str
    parent: str | None
    is_git_repo: bool
    entries: list[FolderEntryItem]
    total: int
    is_truncated: bool


class RootItem(WireItem, kw_only=True):
    """A workspace root. Sessions may work where `allowed` says so; `source` says who has chosen it."""

    path: str
    source: Literal["configuration", "client"]
    allowed: bool
