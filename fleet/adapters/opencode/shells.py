"""The `Shells` port: a program that OpenCode starts as the user's shell, and that reads the workspace's variables.

A process of OpenCode serves many workspaces, so its environment cannot hold the variables of each. OpenCode runs
commands with the program in `SHELL`, and recognizes it by its name. So `<data>/shells/<name of the user's shell>` is a
script: it finds its workspace by the current directory, reads `<data>/shells/workspaces/<workspace id>`, and replaces
itself with the user's shell. If the script cannot be written, shells lack these variables.
"""

import os
import shlex
import shutil
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import structlog
import trio

from fleet.private_files import make_private_directory, write_private

_log = structlog.get_logger(__name__)

_REFUSED_BY_OPENCODE: Final = ("fish", "nu")
"""Shells that OpenCode replaces for commands, because they are not POSIX shells."""

_SCRIPT: Final = """\
#!/bin/sh
# Written by Fleet: gives a command the variables of the workspace that it runs in.
here=$(pwd -P)/
case $here in
{workspaces}/*)
  here=${{here#{workspaces}/}}
  here={variables}/${{here%%/*}}
  if [ -r "$here" ]; then . "$here"; fi
esac
unset here
{restore}
exec {shell} "$@"
"""


class LocalShells:
    """`fleet.ports.Shells` on this machine. `environment` is the one that OpenCode would inherit."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str]) -> None:
        self._data_dir = data_dir.resolve()
        self._directory = self._data_dir / "shells"
        self._variables = self._directory / "workspaces"
        self._inherits = environment

    def environment(self) -> Mapping[str, str]:
        """Write the program that OpenCode starts as a shell, and return the environment for OpenCode."""
        own = self._inherits.get("SHELL")
        if own and Path(own).parent == self._directory:  # a Fleet that runs in Fleet: not the user's shell
            own = None
        shell = own if own and Path(own).name not in _REFUSED_BY_OPENCODE and os.access(own, os.X_OK) else None
        shell = shell or shutil.which("bash", path=self._inherits.get("PATH")) or "/bin/sh"
        program = self._directory / Path(shell).name
        try:
            _replace(program, self._script(shell, own), mode=0o700)
        except OSError as error:
            _log.warning("shells_without_variables", reason=error.strerror)
            return self._inherits
        return {**self._inherits, "SHELL": str(program)}

    def _script(self, shell: str, own: str | None) -> str:
        return _SCRIPT.format(
            workspaces=shlex.quote(str(self._data_dir / "workspaces")),
            variables=shlex.quote(str(self._variables)),
            restore="unset SHELL" if own is None else f"SHELL={shlex.quote(own)}; export SHELL",
            shell=shlex.quote(shell),
        )

    async def expose(self, workspace_id: str, variables: Mapping[str, str]) -> None:
        """Write the variables of a workspace (see the port)."""
        text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
        await trio.to_thread.run_sync(_replace, self._variables / workspace_id, text)

    async def forget(self, workspace_id: str) -> None:
        """Remove the variables of a workspace."""
        await trio.Path(self._variables / workspace_id).unlink(missing_ok=True)

    async def are_free(self, first: int, count: int) -> bool:
        """Try to bind each of the ports, which takes microseconds."""
        await trio.lowlevel.checkpoint()
        with ExitStack() as bound:
            try:
                for port in range(first, first + count):
                    bound.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                return False
        return True


def _replace(file: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file atomically, because a shell may be reading it. Paths in `text` may not be valid UTF-8."""
    make_private_directory(file.parent)
    write_private(file, os.fsencode(text), mode=mode)
