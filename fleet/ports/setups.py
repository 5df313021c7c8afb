"""The port for set-ups: reads the commands that make a repository's workspace ready, and runs them."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

import msgspec


class Recipe(msgspec.Struct, frozen=True):
    """The content of a checkout's `.fleet.toml`; `digest` is the SHA-256 of its bytes.

    `problem` says why it cannot be used. None of its commands run before a person has allowed this digest.
    """

    digest: str
    setup: str = ""
    teardown: str = ""
    submodules: bool = False
    problem: str = ""

    @property
    def script(self) -> str:
        """The shell script that a set-up runs."""
        first = "git submodule update --init --recursive\n" if self.submodules else ""
        return f"{first}{self.setup}"


class Script(msgspec.Struct, frozen=True):
    """Commands for a shell. `marker` marks their processes, so that they can be found after a crash.

    A run with the same `attempt` is the same run: while it runs, and after its end, it is not repeated.
    """

    marker: str
    text: str
    directory: str
    variables: Mapping[str, str]
    timeout_s: float
    attempt: int = 0


class ScriptEnd(msgspec.Struct, frozen=True):
    """How a script ended: its exit code, None if it was ended at its time limit."""

    code: int | None


OnOutput = Callable[[str], Awaitable[None]]
"""Receives a piece of output as text."""


class Scripts(Protocol):
    """Reads a checkout's `.fleet.toml`, and runs what a person has allowed."""

    async def read(self, directory: str) -> Recipe | None:
        """Return the recipe at the root of a checkout, None where there is no file or it is empty."""
        ...

    async def run(self, script: Script, on_output: OnOutput) -> ScriptEnd:
        """Run a script to its end, and end all processes that it leaves. Raises `Problem` if it cannot start."""
        ...

    @property
    def running(self) -> Collection[str]:
        """The markers of scripts that run now."""
        ...
