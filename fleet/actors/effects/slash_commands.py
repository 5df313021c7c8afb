"""Resolves a prompt that names a command before it is accepted: `/name` runs or is rejected, and is never sent as text.

Commands are OpenCode's own and the repository's; only a process of the session knows them. If the session has no
process yet, the command is checked before it is sent (prompt_delivery.py).
"""

import re
from typing import Final

from msgspec.structs import replace

from fleet.actors.context import Context
from fleet.actors.prompt import NewPrompt
from fleet.core.session.state import State
from fleet.core.session.values import COMPACT
from fleet.errors import Problem, Rejected
from fleet.ports import OpenCode, SlashCommand

_COMPACT: Final = SlashCommand(COMPACT, "Sum up the conversation, so that the model has room again.", source="fleet")
_NAMED: Final = re.compile(r"/(\S+)\s*(.*)", re.DOTALL)
_NAME: Final = re.compile(r"(?!(?:etc|home|lib|mnt|opt|proc|s?bin|srv|sys|tmp|usr|var)\Z)[A-Za-z][\w:.-]*")
"""What looks like the name of a command; a path has a further slash, or is a directory as in "/tmp is full"."""


class SlashCommands:
    """Looks up the commands of sessions."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def resolve(self, prompt: NewPrompt, session: State | None) -> NewPrompt:
        """Return the prompt with the command that it names; a text prompt is returned unchanged.

        Raises `Rejected`: command_unknown, and invalid for a command with attachments or for steering.
        """
        name, arguments = _named(prompt)
        if name is None:
            return prompt
        is_command = prompt.command is not None or _NAME.fullmatch(name) is not None
        known = None if name == COMPACT or session is None else await self._known(session)
        if known is not None and name not in known and is_command:
            raise unknown(name, known)
        if not is_command and (known is None or name not in known):
            return prompt
        return _runnable(replace(prompt, command=name, text=arguments))

    async def _known(self, session: State) -> frozenset[str] | None:
        """Return the commands that the session can run; None if it has no process that responds."""
        client = self._context.connections.current(session.opencode.instance_id or "")
        if client is None:
            return None
        try:
            return await names(client, session.directory)
        except Problem:  # the command is checked again before it is sent
            return None


async def commands_in(client: OpenCode, directory: str) -> tuple[SlashCommand, ...]:
    """Return the commands that can be run in a directory, Fleet's own included."""
    return (*(each for each in await client.commands(directory) if each.name != COMPACT), _COMPACT)


async def names(client: OpenCode, directory: str) -> frozenset[str]:
    """Return the names of the commands that can be run in a directory, Fleet's own included."""
    return frozenset(command.name for command in await commands_in(client, directory))


def unknown(name: str, known: frozenset[str]) -> Rejected:
    """Return the error for an unknown command."""
    return Rejected(
        "command_unknown",
        f"there is no command /{name} here; there are: {', '.join(f'/{each}' for each in sorted(known))}",
        hint="To send text that begins with a slash, put a space before it.",
        field="command",
        extra={"commands": sorted(known)},
    )


def _named(prompt: NewPrompt) -> tuple[str | None, str]:
    """Return the possible name of a command, and the text without it."""
    if prompt.command is not None:
        return prompt.command, prompt.text
    found = _NAMED.fullmatch(prompt.text)
    return (None, prompt.text) if found is None else (found[1], found[2])


def _runnable(prompt: NewPrompt) -> NewPrompt:
    if prompt.attachments:
        raise Rejected("invalid", f"/{prompt.command} is a command, which takes no attachments", field="attachments")
    if prompt.steer:
        said = f"/{prompt.command} is a command, which runs as a turn of its own"
        raise Rejected("invalid", said, field="delivery")
    return prompt
