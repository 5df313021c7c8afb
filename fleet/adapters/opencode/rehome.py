"""Moving a session to another directory: OpenCode has no call for that, but it exports and imports sessions.

What is imported belongs to the directory in which the import runs; ids stay. A crash in between leaves a session that
nobody knows, which does no harm.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import trio

from fleet.errors import Problem
from fleet.limits import OPENCODE_CLI_TIMEOUT_S


async def rehome(executable: Path, environment: Mapping[str, str], session_id: str, directory: str) -> None:
    """Export the session, change its directory, and import it over itself. Raises `Problem` opencode_refused."""
    exported = await _run(executable, environment, directory, "export", session_id)
    try:
        session = msgspec.json.decode(exported[exported.index(b"{") :], type=dict[str, Any])
        session["info"]["directory"] = directory
        for message in session["messages"]:
            if "path" in message["info"]:
                message["info"]["path"] = {"cwd": directory, "root": directory}
    except (ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
        raise Problem("opencode_refused", f"OpenCode exported the session in an unknown form: {error}") from error
    await _import(executable, environment, directory, msgspec.json.encode(session))


async def _import(executable: Path, environment: Mapping[str, str], directory: str, session: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix="fleet-", suffix=".json")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(session)
        await _run(executable, environment, directory, "import", name)
    finally:
        Path(name).unlink(missing_ok=True)  # noqa: ASYNC240 - one file, once


async def _run(executable: Path, environment: Mapping[str, str], directory: str, *arguments: str) -> bytes:
    with trio.move_on_after(OPENCODE_CLI_TIMEOUT_S):
        done = await trio.run_process(
            [executable, *arguments],
            cwd=directory,
            env=dict(environment),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()[-300:]
            raise Problem("opencode_refused", f"`opencode {arguments[0]}` failed: {said}")
        return done.stdout
    raise Problem("opencode_refused", f"`opencode {arguments[0]}` did not end in {OPENCODE_CLI_TIMEOUT_S:.0f} s")
