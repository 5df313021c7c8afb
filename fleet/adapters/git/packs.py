"""Makes packs of what another repository lacks, and stores packs that arrive.

A pack is thin: it may have differences to objects that only the receiver has. What arrives counts only if everything
that it refers to is there. Until a ref names it, it changes nothing, and git removes it some weeks later.
"""

import fcntl
import hashlib
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import trio

from fleet.adapters.git.command import NOT_REDIRECTED, Output, Redirections, attempt, without_files
from fleet.errors import Problem
from fleet.ports import Parcel

_HEADER: Final = b"PACK"
_UNPACKED_MAX: Final = 100
"""Objects of a pack that are stored one by one, as git does by default: fewer packs are faster to read."""


PIPE_BYTES: Final = 1 << 20
"""The room of the pipe to a git that stores a pack while it arrives: all that Linux allows."""


class Objects(NamedTuple):
    """The objects of a repository. `trusted`: it is Fleet's own, and its configuration names no programs."""

    repository: str
    trusted: bool = False

    async def attempt(
        self, command: str, *arguments: str, stdin: bytes = b"", files: Redirections = NOT_REDIRECTED
    ) -> Output:
        """Run git on the repository alone, and return how it ended."""
        return await attempt(
            command,
            *arguments,
            directory=self.repository,
            repository=self.repository,
            environment=without_files(self.repository),
            stdin=stdin,
            trusted=self.trusted,
            files=files,
        )

    async def run(self, command: str, *arguments: str, stdin: bytes = b"", files: Redirections = NOT_REDIRECTED) -> str:
        """Run git and return what it printed, without the last newline. Raises `Problem` git_failed."""
        output = await self.attempt(command, *arguments, stdin=stdin, files=files)
        if output.code != 0:
            raise output.failed()
        return output.line

    async def among(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of the objects that the repository has. Raises `Problem` git_failed."""
        if not names:
            return ()
        asked = "".join(f"{name}\n" for name in names).encode()
        told = await self.run("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked)
        return tuple(line.split(" ")[0] for line in told.splitlines() if not line.endswith(" missing"))


class NewParcel(NamedTuple):
    """A parcel, in a file that belongs to the caller alone."""

    parcel: Parcel
    file: Path


Meanwhile = Callable[[Path, trio.Event], Awaitable[None]]
"""Reads a file that grows, until the event says that it is complete. Raises nothing."""


async def pack(
    objects: Objects,
    directory: Path,
    wanted: tuple[str, ...],
    had: tuple[str, ...],
    meanwhile: Meanwhile | None = None,
) -> NewParcel | None:
    """Write a parcel into `directory` with what the `wanted` objects need beyond those `had`; None if that is nothing.

    Raises `Problem` git_failed.
    """
    if not wanted:
        return None
    asked = [*wanted, "--not", *await objects.among(had)]
    making = directory / f"{os.urandom(8).hex()}.making"
    made: NewParcel | None = None
    refused: Problem | OSError | None = None
    is_given, complete = False, trio.Event()
    try:
        async with trio.open_nursery() as nursery:
            if meanwhile is not None:
                nursery.start_soon(meanwhile, making, complete)
            try:
                await objects.run(
                    "pack-objects",
                    *("--revs", "--thin", "--stdout", "--delta-base-offset", "--quiet"),
                    stdin="".join(f"{name}\n" for name in asked).encode(),
                    files=Redirections(written=making),
                )
                complete.set()
                made = await trio.to_thread.run_sync(_made, making)
            except (Problem, OSError) as error:  # the nursery would wrap it in a group
                refused = error
                nursery.cancel_scope.cancel()
        if refused is not None:
            raise refused
        is_given = made is not None
        return made
    finally:
        if not is_given:
            making.unlink(missing_ok=True)


def _made(file: Path) -> NewParcel | None:
    return None if count(file) == 0 else NewParcel(Parcel(digest(file), file.stat().st_size), file)


def digest(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def count(file: Path) -> int | None:
    """Return how many objects a pack has, None if the file is no pack."""
    with file.open("rb") as opened:
        header = opened.read(12)
    return int.from_bytes(header[8:12], "big") if header.startswith(_HEADER) and len(header) == 12 else None


async def store(
    objects: Objects,
    file: Path | None,
    wanted: tuple[str, ...],
    had: tuple[str, ...] | None,
    stored: Output | None = None,
) -> bool:
    """Store the objects of a pack. Return whether the repository has the `wanted` objects completely now.

    `had` is what was complete before, None for what its refs name; `stored` is what git has said when it has stored
    them already. Raises `Problem` git_failed for errors of the disk.
    """
    if file is not None:
        number = await trio.to_thread.run_sync(count, file)
        if number is None:
            return False
        stored = await _store(objects, file, number)
    if stored is not None:
        if stored.code not in {0, 1}:
            if (problem := stored.failed()).code != "git_failed":  # the disk is full
                raise problem
            return False
        if stored.code == 0 and stored.command == "index-pack":  # git has followed every object
            return len(await objects.among(wanted)) == len(wanted)
    return await is_complete(objects, wanted, had)


async def _store(objects: Objects, file: Path, number: int) -> Output:
    if number <= _UNPACKED_MAX:
        unpacked = await objects.attempt("unpack-objects", "-q", files=Redirections(read=file))
        return unpacked._replace(code=128) if unpacked.code == 1 else unpacked
    return await _index(objects, file)


async def _index(objects: Objects, file: Path) -> Output:
    """Store a pack as it is; the code is 1 if it refers to objects outside of it, all of which exist."""
    return await objects.attempt(
        "index-pack", "--stdin", "--fix-thin", "--check-self-contained-and-connected", files=Redirections(read=file)
    )


async def index_arriving(objects: Objects, feed: Callable[[int], Awaitable[None]]) -> Output:
    """Store a pack that `feed` writes into a pipe. Return the result of git, which refuses a pack that is cut off.

    Raises `Problem`.
    """
    refused: Problem | None = None
    stored: Output | None = None
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(PermissionError):  # the user has too many of them
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    async def fed() -> None:
        try:
            await feed(writing)
        finally:
            os.close(writing)

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fed)
            try:
                stored = await _index(objects, Path(f"/dev/fd/{reading}"))
            except Problem as problem:  # the nursery would wrap it in a group
                refused = problem
            nursery.cancel_scope.cancel()
    finally:
        os.close(reading)
    if stored is None:
        raise refused or Problem("git_failed", "git index-pack gave no result")
    return stored


async def is_complete(objects: Objects, wanted: tuple[str, ...], had: tuple[str, ...] | None) -> bool:
    """Return whether the repository has everything that the `wanted` objects refer to, as far as it is not in `had`."""
    if not wanted:
        return True
    known = () if had is None else await objects.among(had)
    asked = "".join((*(f"{name}\n" for name in wanted), *(f"^{name}\n" for name in known))).encode()
    named = ("--not", "--all") if had is None else ()
    walked = await objects.attempt(
        "rev-list", "--objects", "--quiet", "--exclude-promisor-objects", "--stdin", *named, stdin=asked
    )
    if walked.code == 0:
        return True
    if (problem := walked.failed()).code != "git_failed":
        raise problem
    return False
