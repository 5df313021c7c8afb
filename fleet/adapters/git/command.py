"""Runs git. No other module starts it.

Arguments are a list, never a shell command. The environment has no `GIT_*` variables of Fleet's process, and git cannot
prompt a person. Hooks, file-system monitors, `ext::` transports and other programs in a repository's own configuration
do not run (config_hardening.py). Output and time are bounded; when the wait ends, the whole process group is ended.
Callers put values from people after `--` or `--end-of-options`. A failed check never counts as "no": `Output.says_yes`
distinguishes the two.
"""

import os
import re
import signal
import subprocess
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import trio

from fleet.adapters.git.config_hardening import LISTING, disarmed
from fleet.adapters.git.scratch import discarding
from fleet.adapters.process_groups import end_group, signal_group
from fleet.errors import Problem, Rejected, Unavailable
from fleet.limits import GIT_ERROR_BYTES_MAX, GIT_OUTPUT_BYTES_MAX, GIT_TIMEOUT_S

_OPTIONS: Final = (
    "--no-pager",
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "protocol.ext.allow=never"),
    *("-c", "gc.auto=0"),  # a background gc would outlive its command
    *("-c", "maintenance.auto=false"),
)
_ENVIRONMENT: Final = {
    "LC_ALL": "C",  # repository.py and worktrees.py read messages
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_EDITOR": "false",
    "GIT_ASKPASS": "false",
    "SSH_ASKPASS": "false",
}
LOCAL_ALLOWED: Final = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "protocol.file.allow",
    "GIT_CONFIG_VALUE_0": "always",
}
"""Lets git copy between repositories of this machine, even if the user's configuration forbids file URLs."""
_HARMLESS: Final = frozenset(("config", "check-ref-format", "check-ignore", "clone", "symbolic-ref"))
"""These commands read no object of their repository."""
_PROGRAM_FREE: Final = frozenset(("rev-parse", "for-each-ref", "ls-files", "update-ref", "worktree list"))
"""These run a program only to fetch an object that a partial clone lacks; with `_NO_FETCH` they run none."""
_NO_FETCH: Final = {"GIT_ALLOW_PROTOCOL": "none"}
"""Forbids every transport, regardless of the configuration. git checks it before it runs a program."""
_FETCH_REFUSED: Final = re.compile(r"transport '.*' not allowed")
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]+@")
_LOST: Final = re.compile(r"cannot change to '(.*)': No such file or directory")
_NO_SPACE: Final = re.compile(r"No space left on device|Disk quota exceeded")
_READ_BYTES: Final = 64 * 1024


class Redirections(NamedTuple):
    """Redirections of large input and output: git reads `read` instead of `stdin`, and prints to `written`."""

    read: Path | None = None
    written: Path | None = None

    @contextmanager
    def opened(self) -> Generator[tuple[BinaryIO | None, BinaryIO | None]]:
        """Open both."""
        with ExitStack() as opened:
            yield (
                None if self.read is None else opened.enter_context(self.read.open("rb")),
                None if self.written is None else opened.enter_context(self.written.open("wb")),
            )


NOT_REDIRECTED: Final = Redirections()


class Output(NamedTuple):
    """The result of a git command. Paths in `stdout` are decoded like file names in Python."""

    command: str
    code: int
    stdout: str
    stderr: str

    @property
    def line(self) -> str:
        """`stdout` without its final newline (a path may contain newlines)."""
        return self.stdout.removesuffix("\n")

    def says_yes(self) -> bool:
        """Return whether a check of git was true (exit code 0) or false (1).

        Raises `Problem` git_failed for any other exit code.
        """
        if self.code not in (0, 1):
            raise self.failed()
        return self.code == 0

    def failed(self) -> Problem:
        """Return the problem with git's error message."""
        message = _CREDENTIALS.sub("", self.stderr.strip()) or f"exit code {self.code}"
        if lost := _LOST.search(message):
            return Rejected("directory_missing", f"{lost[1]!r} no longer exists", field="directory")
        if _NO_SPACE.search(message):
            hint = "Free some space on that disk, then try again."
            return Unavailable(
                "disk_full", f"git {self.command} found the disk full: {message}", hint=hint, retry_after_s=10
            )
        return Problem(
            "git_failed", f"git {self.command} failed: {message}", hint="Repair what git reports, then try again."
        )


async def attempt(
    command: str,
    *arguments: str,
    directory: str,
    repository: str | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    head_bytes: int | None = None,
    trusted: bool = False,
    files: Redirections = NOT_REDIRECTED,
    configuration: Output | None = None,
) -> Output:
    """Run `git command arguments` in `directory` and return how it ended, for every exit code.

    `repository` is the git directory; without it git searches from `directory` upwards. git reads `stdin`. After
    `head_bytes` of output git is stopped, which counts as success. `trusted`: the repository is Fleet's own, and its
    configuration names no programs. `files` replace standard input and output. `configuration` was just listed
    (`list_configuration`); without it it is listed first. Raises `Problem` git_failed on a timeout (`GIT_TIMEOUT_S`) or
    too much output, `Unavailable` git_failed if git is not installed.
    """
    given = dict(environment or {})
    chosen = () if repository is None else (f"--git-dir={repository}",)
    argv = ["git", "-C", directory, *chosen, *_OPTIONS, command, *arguments]
    whole = _clean_environment() | given | discarding(repository, given)
    if trusted or command in _HARMLESS:
        return await _start(command, argv, whole, stdin, head_bytes, files=files)
    if not _PROGRAM_FREE.isdisjoint((command, " ".join((command, *arguments[:1])))):
        output = await _start(command, argv, whole | _NO_FETCH, stdin, head_bytes)
        if not _FETCH_REFUSED.search(output.stderr):
            return output
    listed = configuration or await list_configuration(directory, repository, given)
    if listed.code != 0:  # no command runs before the programs in the configuration are known
        return listed._replace(command=command)
    whole = disarmed(whole, listed.stdout, (command, *arguments))
    return await _start(command, argv, whole, stdin, head_bytes, files=files)


async def _start(
    command: str,
    argv: list[str],
    environment: Mapping[str, str],
    stdin: bytes,
    head_bytes: int | None,
    *,
    files: Redirections = NOT_REDIRECTED,
) -> Output:
    with files.opened() as (read, written):
        try:
            process = await trio.lowlevel.open_process(
                argv,
                stdin=read or (subprocess.PIPE if stdin else subprocess.DEVNULL),
                stdout=written or subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise Unavailable("git_failed", "git is not installed", hint="Install git 2.31 or newer.") from None
    try:
        with trio.fail_after(GIT_TIMEOUT_S):
            return await _finish(process, command, stdin, head_bytes)
    except trio.TooSlowError:
        raise Problem(
            "git_failed", f"git {command} took longer than {GIT_TIMEOUT_S:.0f} s", hint="Check what git waits for."
        ) from None
    finally:
        await _end(process)


async def run(
    command: str,
    *arguments: str,
    directory: str,
    repository: str | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    configuration: Output | None = None,
) -> str:
    """Run git as `attempt` does and return what it printed, without the last newline. Raises `Problem` git_failed."""
    output = await attempt(
        command,
        *arguments,
        directory=directory,
        repository=repository,
        environment=environment,
        stdin=stdin,
        configuration=configuration,
    )
    if output.code != 0:
        raise output.failed()
    return output.line


async def require_disarmed(command: str, *arguments: str, repository: str) -> None:
    """Raise the `Problem` for which Fleet would refuse to run this command in a repository; run nothing."""
    listed = await list_configuration(repository, repository)
    if listed.code != 0:
        raise listed.failed()
    disarmed({}, listed.stdout, (command, *arguments))


async def list_configuration(
    directory: str, repository: str | None, environment: Mapping[str, str] | None = None
) -> Output:
    """List the configuration that a command there would read, as `disarmed` needs it."""
    # git reads no configuration that names moved files; the variables of `without_files` and others replace them.
    place = {name: value for name, value in (environment or {}).items() if name == "GIT_WORK_TREE"}
    return await attempt("config", *LISTING, directory=directory, repository=repository, environment=place)


def without_files(git_directory: str) -> dict[str, str]:
    """Return variables that make git read only the repository: a submodule's configuration may name missing files."""
    return {"GIT_WORK_TREE": git_directory}


def _clean_environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return inherited | _ENVIRONMENT


async def _finish(process: trio.Process, command: str, stdin: bytes, head_bytes: int | None) -> Output:
    if process.stderr is None:
        raise TypeError("git was started without pipes")
    whole, stdout, stderr = True, bytearray(), bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_read_end, process.stderr, stderr)
        if process.stdin is not None:
            nursery.start_soon(_write_all, process.stdin, stdin)
        if process.stdout is not None:
            bytes_max = GIT_OUTPUT_BYTES_MAX if head_bytes is None else head_bytes
            whole = await _read_all(process.stdout, stdout, bytes_max)
        if not whole:
            signal_group(process, signal.SIGKILL)
    code = await process.wait()
    if not whole and head_bytes is not None:
        return Output(command, 0, os.fsdecode(bytes(stdout[:head_bytes])), "")
    if not whole:
        raise Problem("git_failed", f"git {command} printed more than {GIT_OUTPUT_BYTES_MAX} bytes")
    return Output(command, code, os.fsdecode(bytes(stdout)), stderr.decode(errors="replace"))


async def _write_all(stream: trio.abc.SendStream, text: bytes) -> None:
    async with stream:
        with suppress(trio.BrokenResourceError):  # git stopped reading; its exit code says why
            await stream.send_all(text)


async def _read_all(stream: trio.abc.ReceiveStream, into: bytearray, bytes_max: int) -> bool:
    while chunk := await stream.receive_some(_READ_BYTES):
        into += chunk
        if len(into) > bytes_max:
            return False
    return True


async def _read_end(stream: trio.abc.ReceiveStream, into: bytearray) -> None:
    while chunk := await stream.receive_some(_READ_BYTES):
        into += chunk
        del into[:-GIT_ERROR_BYTES_MAX]


async def _end(process: trio.Process) -> None:
    """End all processes: TERM first, so that git removes its lock files."""
    with trio.CancelScope(shield=True):
        await end_group(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                await stream.aclose()
