"""Snapshot repositories: Fleet's own git directories, beside directories that Fleet only reads.

git commands that read or write files of a workspace never use the workspace's own git directory. So its configuration,
hooks, monitors and filters have no effect, its index stays unchanged, and contents are read as they are on disk: the
store's `info/attributes` overrides every `.gitattributes` and disables conversions and filters.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import trio

from fleet.adapters.git.command import Output, attempt
from fleet.errors import Problem
from fleet.limits import MIB
from fleet.private_files import make_private_directory, write_private

_BIG_FILE_BYTES: Final = 32 * MIB
"""A larger file is streamed and is binary in a diff, because git would hold several copies of it in memory."""

# A split index: only the changes of a turn are written, not the 5 MB of 50,000 files.
_CONFIG: Final = f"""[core]
\trepositoryformatversion = 1
\tbare = false
\tautocrlf = false
\tattributesFile = /dev/null
\tbigFileThreshold = {_BIG_FILE_BYTES}
\tlooseCompression = 1
\tquotePath = false
\tfsmonitor = false
\tuntrackedCache = false
\tsplitIndex = true
[index]
\tsparse = false
\tversion = 4
[extensions]
\tobjectFormat = {{object_format}}
"""
_INDEX: Final = "index"
_ATTRIBUTES: Final = "* -text -filter -ident -working-tree-encoding !eol !diff !merge\n"


class SnapshotRepository(NamedTuple):
    """One of Fleet's own git directories.

    `objects` is another repository's object directory to write to, None for the store's own. `excludes_file` is the
    user's `core.excludesFile` for the workspace's repository.
    """

    directory: str
    objects: str | None = None
    excludes_file: str | None = None
    index_name: str = _INDEX

    @property
    def index_file(self) -> str:
        """The path of the store's index."""
        return f"{self.directory}/{self.index_name}"

    async def attempt(
        self, command: str, *arguments: str, top: str | None = None, stdin: bytes = b"", head_bytes: int | None = None
    ) -> Output:
        """Run git on this store and the files below `top`, and return how it ended, for every exit code."""
        environment = {"GIT_INDEX_FILE": self.index_file, "GIT_ATTR_NOSYSTEM": "1", "GIT_LITERAL_PATHSPECS": "1"}
        if top is not None:
            environment["GIT_WORK_TREE"] = top
        if self.objects is not None:
            environment["GIT_OBJECT_DIRECTORY"] = self.objects
        settings = [] if self.excludes_file is None else [("core.excludesFile", self.excludes_file)]
        if self.index_name != _INDEX:  # another index is temporary, and its shared part would stay
            settings.append(("core.splitIndex", "false"))
        environment["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, (key, value) in enumerate(settings):
            environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return await attempt(
            command,
            *arguments,
            directory=top or self.directory,
            repository=self.directory,
            environment=environment,
            stdin=stdin,
            head_bytes=head_bytes,
            trusted=True,
        )

    async def head(self, count: int, command: str, *arguments: str) -> bytes:
        """Return the first `count` bytes that git prints. Raises `Problem` git_failed."""
        output = await self.attempt(command, *arguments, head_bytes=count)
        if output.code != 0:
            raise output.failed()
        return os.fsencode(output.stdout)

    async def run(self, command: str, *arguments: str, top: str | None = None, stdin: bytes = b"") -> str:
        """Run git on this store and return its output without the last newline. Raises `Problem` git_failed."""
        output = await self.attempt(command, *arguments, top=top, stdin=stdin)
        if output.code != 0:
            raise output.failed()
        return output.line


async def make_store(
    store: SnapshotRepository, object_format: str, *, exclude: bytes = b"", borrowed: str | None = None
) -> None:
    """Create or update the store, and remove the remains of a crash.

    `exclude` becomes its `info/exclude`; it also reads from the object directory `borrowed`. Raises `Problem`
    git_failed for errors of the disk.
    """
    try:
        await trio.to_thread.run_sync(_make, Path(store.directory), object_format, exclude, borrowed)
    except OSError as error:
        raise unwritable(store, error) from None


def unwritable(store: SnapshotRepository, error: OSError) -> Problem:
    """Return the problem for an error of the disk."""
    detail = f"Fleet cannot keep snapshots in {store.directory!r}: {error.strerror}"
    return Problem("git_failed", detail, hint="Check permissions and free space.")


def make_directories(directory: Path) -> None:
    """Make the directories of a store that git requires, also empty ones: a backup holds files alone."""
    for name in ("objects/info", "refs", "info"):
        make_private_directory(directory / name)


def _make(directory: Path, object_format: str, exclude: bytes, borrowed: str | None) -> None:
    make_directories(directory)
    with suppress(FileNotFoundError):  # Fleet holds the workspace's lock, so only a killed git can have left it
        (directory / "index.lock").unlink()
    if not (directory / "HEAD").exists():
        _replace(directory / "config", _CONFIG.format(object_format=object_format).encode())
        _replace(directory / "info" / "attributes", _ATTRIBUTES.encode())
        _replace(directory / "HEAD", b"ref: refs/heads/none\n")
    _replace(directory / "info" / "exclude", exclude)
    # A path with a newline cannot be written there; then the objects are copied.
    usable = borrowed is not None and "\n" not in borrowed and '"' not in borrowed
    alternates = f"{borrowed}\n" if usable else ""
    _replace(directory / "objects" / "info" / "alternates", os.fsencode(alternates))


def _replace(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    write_private(path, content)
