"""The `Scripts` port: it reads `.fleet.toml`, and runs set-ups and teardowns as a person would in a terminal.

The same bytes are hashed and parsed, and commands have no invisible characters. A script gets the environment of
OpenCode without Fleet's settings. Its processes carry markers, so that a later start finds them after a crash; all that
it leaves running are ended with it. Its output is bounded and reported in pieces. Another module decides which commands
may run.
"""

import codecs
import hashlib
import signal
import subprocess
import tomllib
import unicodedata
from collections import deque
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, cast

import trio

from fleet.adapters.git.files import read_file
from fleet.adapters.opencode.environment import inherited
from fleet.adapters.opencode.identity import INSTANCE_MARKER, Owner
from fleet.adapters.opencode.remnants import kill_marked
from fleet.adapters.process_groups import end_group, signal_group
from fleet.errors import Problem
from fleet.limits import (
    KILL_GRACE_S,
    SCRIPT_OUTPUT_BYTES_MAX,
    SCRIPT_OUTPUT_S,
    SCRIPT_TAIL_BYTES,
    SETUP_FILE_BYTES_MAX,
)
from fleet.ports import OnOutput, Recipe, Script, ScriptEnd

SETUP_FILE: Final = ".fleet.toml"
_KEYS: Final = ("setup", "teardown", "submodules")
_READ_BYTES: Final = 64 * 1024
_HIDDEN_CATEGORIES: Final = ("Cc", "Cf", "Zl", "Zp")  # controls, formats (directions, joiners, tags), separators
_FILLERS: Final = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"  # letters and marks that are blank


class LocalScripts:
    """`fleet.ports.Scripts` on this machine. Scripts inherit `environment`; `data_id` is that of the data directory."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str], data_id: str | None = None) -> None:
        self._owner = Owner(str(data_dir.resolve()), data_id)
        self._environment = inherited(environment, {})
        self._running: set[str] = set()

    @property
    def running(self) -> Collection[str]:
        """The markers of running scripts."""
        return self._running

    async def read(self, directory: str) -> Recipe | None:
        """Read the file of a checkout, in a thread (see the port)."""
        return await trio.to_thread.run_sync(_read, Path(directory, SETUP_FILE))

    async def run(self, script: Script, on_output: OnOutput) -> ScriptEnd:
        """Run a script to its end (see the port). Raises `Problem` setup_failed if it cannot start."""
        self._running.add(script.marker)
        try:
            return await self._run(script, _Output(on_output))
        finally:
            self._running.discard(script.marker)

    async def _run(self, script: Script, output: "_Output") -> ScriptEnd:
        process = await self._start(script)
        timed_out = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(output.give)
            read = trio.Event()
            nursery.start_soon(_pump, process, output, read)
            try:
                with trio.move_on_after(script.timeout_s):
                    await process.wait()
                    timed_out = False
            finally:
                await self._end(process, script.marker)
            with trio.move_on_after(KILL_GRACE_S):
                await read.wait()
            nursery.cancel_scope.cancel()
        await output.finish()
        return ScriptEnd(None if timed_out else process.returncode)

    async def _start(self, script: Script) -> trio.Process:
        try:
            return await trio.lowlevel.open_process(
                ["/bin/sh", "-e", "-c", script.text],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=script.directory,
                env={
                    **self._environment,
                    **script.variables,
                    INSTANCE_MARKER: script.marker,
                    **self._owner.markers(),
                },
                start_new_session=True,
            )
        except OSError as error:
            raise Problem("setup_failed", f"the commands cannot be started: {error.strerror}") from None

    async def _end(self, process: trio.Process, marker: str) -> None:
        """End all processes: terminate the group, then kill it and every process with the marker."""
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                await end_group(process)
            else:
                signal_group(process, signal.SIGKILL)  # what it has left running
            await kill_marked(self._owner, marker)


class _Output:
    """The output of a script, reported in pieces: its beginning up to a limit, and then its end."""

    def __init__(self, on_output: OnOutput) -> None:
        self._on_output = on_output
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._waiting: list[str] = []
        self._taken = 0
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._left_out = 0

    def take(self, chunk: bytes) -> None:
        room = SCRIPT_OUTPUT_BYTES_MAX - self._taken
        head, rest = chunk[:room], chunk[room:]
        self._taken += len(head)
        self._waiting.append(self._decoder.decode(head))
        if rest:
            self._tail.append(rest)
            self._tail_bytes += len(rest)
        while self._tail and self._tail_bytes - len(self._tail[0]) >= SCRIPT_TAIL_BYTES:
            self._tail_bytes -= len(self._tail[0])
            self._left_out += len(self._tail.popleft())

    async def give(self) -> None:
        while True:
            await trio.sleep(SCRIPT_OUTPUT_S)
            await self._flush()

    async def finish(self) -> None:
        tail = b"".join(self._tail)
        left_out = self._left_out + max(0, len(tail) - SCRIPT_TAIL_BYTES)
        if left_out:
            self._waiting.append(f"\n[{left_out} bytes omitted]\n")
        self._waiting.append(self._decoder.decode(tail[-SCRIPT_TAIL_BYTES:], final=True))
        await self._flush()

    async def _flush(self) -> None:
        text, self._waiting = "".join(self._waiting), []
        if text:
            await self._on_output(text)


async def _pump(process: trio.Process, output: _Output, read: trio.Event) -> None:
    if process.stdout is None:
        raise TypeError("the script was started without a pipe")
    async with process.stdout as stream:
        while chunk := await stream.receive_some(_READ_BYTES):
            output.take(bytes(chunk))
    read.set()


def _read(path: Path) -> Recipe | None:
    try:
        content = read_file(path, follow=False, head_bytes=SETUP_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Recipe("", problem=f"{SETUP_FILE} cannot be read: {error.strerror}")
    digest = hashlib.sha256(content).hexdigest()
    if len(content) > SETUP_FILE_BYTES_MAX:
        return Recipe(digest, problem=f"{SETUP_FILE} is larger than the limit of {SETUP_FILE_BYTES_MAX} bytes")
    try:
        return _parse(digest, content.decode())
    except (ValueError, tomllib.TOMLDecodeError) as error:
        return Recipe(digest, problem=f"{SETUP_FILE}: {error}")
    except RecursionError:  # the parser is recursive
        return Recipe(digest, problem=f"{SETUP_FILE}: its arrays and tables are nested too deeply")


def _parse(digest: str, text: str) -> Recipe | None:
    """Return the recipe of the file. Raises `ValueError` with the reason."""
    table = tomllib.loads(text).get("workspace", {})
    if not isinstance(table, dict):
        raise ValueError("workspace is not a table")  # noqa: TRY004 - of a file, not of an argument
    found = cast("dict[str, Any]", table)
    for key in found:
        if key not in _KEYS:
            raise ValueError(f"[workspace] has no key {key!r}; its keys are {', '.join(_KEYS)}")
    submodules = found.get("submodules", False)
    if not isinstance(submodules, bool):
        raise ValueError("submodules must be true or false")  # noqa: TRY004 - likewise
    recipe = Recipe(digest, _commands(found, "setup"), _commands(found, "teardown"), submodules)
    return recipe if recipe.script or recipe.teardown else None


def _commands(table: dict[str, Any], key: str) -> str:
    value = table.get(key, "")
    lines = cast("list[object]", value) if isinstance(value, list) else [value]
    if not all(isinstance(line, str) for line in lines):
        raise ValueError(f"{key} must be a string of commands, or a list of such strings")
    commands = "\n".join(str(line).strip() for line in lines).strip()
    hidden = next((character for character in commands if _is_hidden(character)), None)
    if hidden is not None:
        raise ValueError(f"{key} has an invisible character, U+{ord(hidden):04X}: write it in a script instead")
    return commands


def _is_hidden(character: str) -> bool:
    """Return whether the character is invisible or moves others, so that a person would not read what runs."""
    if character in _FILLERS:
        return True
    return character not in "\n\t" and unicodedata.category(character) in _HIDDEN_CATEGORIES
