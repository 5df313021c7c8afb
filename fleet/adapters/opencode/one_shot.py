"""Runs a command of OpenCode that ends by itself, for what its HTTP interface cannot do or no process is there for."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import trio

from fleet.errors import Problem
from fleet.limits import OPENCODE_CLI_TIMEOUT_S

_UNKNOWN: Final = b"Session not found"


async def delete_session(executable: Path, environment: Mapping[str, str], session_id: str) -> None:
    """Delete a session from OpenCode's store, unless it has none with this id. Raises `Problem` opencode_refused."""
    done = await run_once(executable, environment, "/", "session", "delete", session_id)
    if done.returncode != 0 and _UNKNOWN not in done.stderr + done.stdout:
        raise refused("session delete", done)


async def run_once(
    executable: Path, environment: Mapping[str, str], directory: str, *arguments: str
) -> "subprocess.CompletedProcess[bytes]":
    """Run the command in `directory`. Raises `Problem` opencode_refused if it does not end in time."""
    with trio.move_on_after(OPENCODE_CLI_TIMEOUT_S):
        return await trio.run_process(
            [executable, *arguments],
            cwd=directory,
            env=dict(environment),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    raise Problem("opencode_refused", f"`opencode {arguments[0]}` did not end in {OPENCODE_CLI_TIMEOUT_S:.0f} s")


def refused(command: str, done: "subprocess.CompletedProcess[bytes]") -> Problem:
    """Return the problem for a command that failed."""
    output = done.stderr.decode(errors="replace").strip()[-300:] or "no output"
    return Problem("opencode_refused", f"`opencode {command}` ended with {done.returncode}: {output}")
