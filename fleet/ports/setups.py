"""The port for set-ups: what a repository asks for to make its workspace ready, and the commands for it."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

import msgspec


class Recipe(msgspec.Struct, frozen=True):
    """What the file `.fleet.toml` of a checkout asks for; `digest` is the SHA-256 of its bytes.

    `problem` says why it cannot be used. Nothing of it runs before a person has allowed this digest.
    """

    digest: str
    setup: str = ""
    teardown: str = ""
    submodules: bool = False
    problem: str = ""

    @property
    def script(self) -> str:
        """What a set-up runs."""
        first = "git submodule update --init --recursive\n" if self.submodules else ""
        return f"{first}{self.setup}"


class Script(msgspec.Struct, frozen=True):
    """Commands for a shell. `marker` names their processes, so that they are found again after a crash."""

    marker: str
    text: str
    directory: str
    variables: Mapping[str, str]
    timeout_s: float


class ScriptEnd(msgspec.Struct, frozen=True):
    """How a script ended: its exit code, None where it was ended at its time limit."""

    code: int | None


Say = Callable[[str], Awaitable[None]]
"""Takes a piece of output, as text."""


class Scripts(Protocol):
    """Reads a checkout's `.fleet.toml`, and runs what a person has allowed."""

    async def read(self, directory: str) -> Recipe | None:
        """Return what the file at the root of a checkout asks for, None where there is none or it asks for nothing."""
        ...

    async def run(self, script: Script, say: Say) -> ScriptEnd:
        """Run a script to its end, and end all that it leaves running. Raises `Problem` where it cannot start."""
        ...

    @property
    def running(self) -> Collection[str]:
        """The markers of scripts that run now."""
        ...
