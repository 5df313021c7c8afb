"""Copies git-ignored files that `.worktreeinclude` names from the source checkout into a new one.

A file is copied if `.worktreeinclude` at the root of the source's checkout matches it and git ignores it there.
Existing files of the new checkout are not replaced, and no symlink is followed on either side. A symlink is copied only
if it is relative and stays in the checkout. A file that cannot be copied is reported; the workspace is made without it.
Files are copied (by reference where the file system can) and never hard-linked, because the agent would then write into
the source.
"""

import os
import posixpath
import stat
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from fleet.adapters.git.command import attempt, run
from fleet.errors import Problem
from fleet.limits import INCLUDE_BYTES_MAX, INCLUDE_FILES_MAX, INCLUDE_PATTERNS_BYTES_MAX, INCLUDE_UNCOPIED_LISTED_MAX
from fleet.ports import NotCarried

INCLUDE_FILE: Final = ".worktreeinclude"
_COPYING: Final = ".copying"
_READ_BYTES: Final = 1024 * 1024
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


async def carry(top: str | None, directory: str) -> tuple[NotCarried, ...]:
    """Copy the files of the source's `.worktreeinclude` into the checkout at `directory`; return the missing ones."""
    if top is None:
        return ()
    try:
        names = await included(top)
        if not names:
            return ()
        report = await trio.to_thread.run_sync(_copy_all, top, directory, names)
    except (OSError, Problem) as error:
        reason = error.detail if isinstance(error, Problem) else str(error)
        return (NotCarried("files", f"Fleet could not copy the files of {INCLUDE_FILE}: {reason}"),)
    return tuple(NotCarried("files", detail) for detail in report.details())


def _patterns(path: Path) -> str | None:
    """Return the path of the file with the patterns, None where there is none. Raises `OSError` if it is not a file."""
    try:
        seen = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(seen.st_mode):
        raise OSError("it is not a regular file")
    if seen.st_size > INCLUDE_PATTERNS_BYTES_MAX:
        raise OSError(f"it is {seen.st_size} bytes; the limit is {INCLUDE_PATTERNS_BYTES_MAX}")
    return str(path)


async def included(top: str) -> list[str]:
    """Return the files that `.worktreeinclude` names and that git ignores, relative to `top`.

    Raises `OSError` if it cannot be read, `Problem` git_failed.
    """
    patterns = await trio.to_thread.run_sync(_patterns, Path(top, INCLUDE_FILE))
    if patterns is None:
        return []
    matched = await run("ls-files", "--others", "--ignored", f"--exclude-from={patterns}", "-z", directory=top)
    if not matched:
        return []
    ignored = await attempt("check-ignore", "--stdin", "-z", directory=top, stdin=os.fsencode(matched))
    if not ignored.says_yes():
        return []
    # A trailing slash marks another repository, which git does not enter.
    return [name for name in ignored.stdout.split("\0") if name and not name.endswith("/")]


@dataclass
class _Report:
    """The copied files, those beyond a limit (`beyond`), and those that could not be copied."""

    files: int = 0
    size_bytes: int = 0
    beyond: int = 0
    refused: list[str] = field(default_factory=list[str])

    def details(self) -> Generator[str]:
        """Yield a sentence for each thing that was not copied."""
        if self.beyond:
            yield (
                f"{self.beyond} files of {INCLUDE_FILE} were not copied: the limits are {INCLUDE_FILES_MAX} "
                f"files and {INCLUDE_BYTES_MAX // 1024**2} MiB. List fewer files, or create them in the set-up."
            )
        shown, rest = self.refused[:INCLUDE_UNCOPIED_LISTED_MAX], len(self.refused) - INCLUDE_UNCOPIED_LISTED_MAX
        if shown:
            yield f"Not copied: {'; '.join(shown)}" + (f"; and {rest} more" if rest > 0 else "")


class _RefusedError(Exception):
    """A file must not be copied; the message is the reason."""


def _copy_all(top: str, directory: str, names: Iterable[str]) -> _Report:
    """Copy the files, up to the limits. It can be cancelled between two files."""
    report, copying = _Report(), f"{Path(directory).parent}/{_COPYING}"
    with _opened(top) as source, _opened(directory) as target:
        for name in names:
            trio.from_thread.check_cancelled()
            try:
                _copy(source, target, name, copying, report)
            except _RefusedError as refused:
                report.refused.append(f"{_shown(name)} {refused}")
            except OSError as error:
                report.refused.append(f"{_shown(name)}: {error.strerror}")
    return report


def _copy(source: int, target: int, name: str, copying: str, report: _Report) -> None:
    folder, base = posixpath.split(name)
    with _below(source, folder, make=False) as origin:
        seen = os.stat(base, dir_fd=origin, follow_symlinks=False)
        size = seen.st_size if stat.S_ISREG(seen.st_mode) else 0
        if report.files >= INCLUDE_FILES_MAX or report.size_bytes + size > INCLUDE_BYTES_MAX:
            report.beyond += 1
            return
        with _below(target, folder, make=True) as place:
            if _exists(base, place):  # a file of the checkout, or one from an earlier attempt
                return
            if stat.S_ISLNK(seen.st_mode):
                os.symlink(_target(os.readlink(base, dir_fd=origin), folder), base, dir_fd=place)
            elif stat.S_ISREG(seen.st_mode):
                _copy_file(origin, place, base, copying)
            else:
                raise _RefusedError("is not a regular file")
    report.files += 1
    report.size_bytes += size


def _target(link: str, folder: str) -> str:
    """Return the target of a symlink. Raises `_RefusedError` if it is outside of the checkout."""
    leads_to = posixpath.normpath(posixpath.join(folder, link))
    if posixpath.isabs(link) or leads_to.split("/")[0] == "..":
        raise _RefusedError("is a symlink that leads out of the repository")
    return link


def _copy_file(origin: int, place: int, base: str, copying: str) -> None:
    """Copy a file under a temporary name and link it when complete, so that a crash leaves no partial file."""
    read = os.open(base, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=origin)
    try:
        seen = os.fstat(read)
        if not stat.S_ISREG(seen.st_mode):
            raise _RefusedError("is not a regular file")
        with suppress(FileNotFoundError):
            Path(copying).unlink()
        write = os.open(copying, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _copy_bytes(read, write, seen.st_size)
            os.fchmod(write, stat.S_IMODE(seen.st_mode) & 0o777)
            os.utime(write, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        finally:
            os.close(write)
        with suppress(FileExistsError):
            os.link(copying, base, dst_dir_fd=place)
    finally:
        os.close(read)
        with suppress(FileNotFoundError):
            Path(copying).unlink()


def _copy_bytes(read: int, write: int, size: int) -> None:
    """Copy `size` bytes, even if the file grows meanwhile; the kernel shares blocks where the file system can."""
    left = size
    try:
        while left and (copied := os.copy_file_range(read, write, left)):
            left -= copied
    except (OSError, AttributeError):  # two file systems, or not supported: continue with a plain copy
        while left and (piece := os.read(read, min(left, _READ_BYTES))):
            view = memoryview(piece)
            while view:
                view = view[os.write(write, view) :]
            left -= len(piece)


def _exists(base: str, place: int) -> bool:
    try:
        os.stat(base, dir_fd=place, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _opened(path: str) -> Generator[int]:
    opened = os.open(path, _DIRECTORY)
    try:
        yield opened
    finally:
        os.close(opened)


@contextmanager
def _below(root: int, folder: str, *, make: bool) -> Generator[int]:
    """Open a directory below another one without following symlinks; with `make`, create missing ones."""
    opened = os.dup(root)
    try:
        for part in folder.split("/") if folder else ():
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=opened)
            try:
                inner = os.open(part, _DIRECTORY, dir_fd=opened)
            except NotADirectoryError:  # a symlink too
                raise _RefusedError(f"has {_shown(part)} above it, which is not a directory") from None
            os.close(opened)
            opened = inner
        yield opened
    finally:
        os.close(opened)


def _shown(name: str) -> str:
    return repr(os.fsencode(name).decode(errors="replace"))
