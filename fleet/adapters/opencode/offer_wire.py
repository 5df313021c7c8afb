"""The JSON of OpenCode's offers (agents, commands, models, found files), read as tolerantly as in wire.py."""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from fleet.ports import Agent, OfferedModel, SlashCommand


class _Agent(Struct):
    name: str
    description: str | None = None
    mode: str = "primary"
    native: bool | None = None
    builtIn: bool | None = None  # noqa: N815 - OpenCode's spelling, before 1.0
    hidden: bool | None = None
    permission: Raw = Raw()


class _Command(Struct):
    name: str
    description: str | None = None
    agent: str | None = None
    source: str | None = None


class _Limit(Struct):
    context: float | None = None
    output: float | None = None


class _Model(Struct):
    name: str = ""
    limit: _Limit = msgspec.field(default_factory=_Limit)


class _Provider(Struct):
    id: str
    name: str = ""
    models: dict[str, _Model] = msgspec.field(default_factory=dict[str, _Model])


class _Providers(Struct):
    providers: list[_Provider] = msgspec.field(default_factory=list[_Provider])
    default: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


class _Mcp(Struct):
    enabled: bool = True


class _Config(Struct):
    mcp: dict[str, _Mcp] = msgspec.field(default_factory=dict[str, _Mcp])


_agents = msgspec.json.Decoder(list[_Agent])
_commands = msgspec.json.Decoder(list[_Command])
_providers = msgspec.json.Decoder(_Providers)
_names = msgspec.json.Decoder(list[str])
_config = msgspec.json.Decoder(_Config)


def agents(body: bytes) -> tuple[Agent, ...]:
    """Read `GET /agent`, without the hidden ones. Raises `WireError`."""
    return tuple(
        Agent(read.name, read.description or "", read.mode, bool(read.native or read.builtIn), bytes(read.permission))
        for read in _agents.decode(body)
        if not read.hidden
    )


def commands(body: bytes) -> tuple[SlashCommand, ...]:
    """Read `GET /command`, without the templates. Raises `WireError`."""
    return tuple(
        SlashCommand(read.name, read.description or "", read.agent, read.source) for read in _commands.decode(body)
    )


def models(body: bytes) -> tuple[OfferedModel, ...]:
    """Read the usable models of `GET /config/providers`. Raises `WireError`."""
    read = _providers.decode(body)
    return tuple(
        OfferedModel(
            provider.id,
            provider.name or provider.id,
            model_id,
            model.name or model_id,
            read.default.get(provider.id) == model_id,
            _tokens(model.limit.context),
            _tokens(model.limit.output),
        )
        for provider in read.providers
        for model_id, model in provider.models.items()
    )


def _tokens(count: float | None) -> int | None:
    return int(count) if count else None


def found_files(body: bytes) -> tuple[str, ...]:
    """Read `GET /find/file`: paths relative to the directory; directories end with `/`. Raises `WireError`."""
    return tuple(_names.decode(body))


def mcp_names(body: bytes) -> tuple[str, ...]:
    """Read the names of the enabled MCP servers in `GET /config`. Raises `WireError`."""
    return tuple(name for name, server in _config.decode(body).mcp.items() if server.enabled)
