"""Collects the rules outside of `.gitignore` files that decide which files of a directory are ignored."""

from pathlib import Path
from typing import Final, NamedTuple

import trio

from fleet.adapters.git.checkout_location import Place
from fleet.adapters.git.command import attempt

IGNORED_AND_TRACKED: Final = ("--cached", "--ignored", "--exclude-standard", "-z")


class Rules(NamedTuple):
    """The rules at one time.

    `excludes`: the place of the directory, and its rules outside of `.gitignore` files. `forced`: names in the user's
    own index that a rule ignores, but that are still included. `index_state` shows whether to read the index again.
    """

    excludes: tuple[object, ...]
    index_state: tuple[int, ...]
    forced: frozenset[str]

    def same(self, other: "Rules | None") -> bool:
        """Return whether both include the same files."""
        return other is not None and (self.excludes, self.forced) == (other.excludes, other.forced)


async def rules_of(place: Place, before: Rules | None, *, exact: bool = False) -> Rules:
    """Return the rules of a place, reading the user's index only if it was written since `before`.

    `exact`: raise `Problem` git_failed for an index that git cannot read; otherwise the earlier rules stay in use.
    """
    file_state = await trio.to_thread.run_sync(_state, place.excludes_file)
    excludes = (place.top, place.prefix, place.exclude, place.excludes_file, file_state)
    if place.git_directory is None:
        return Rules(excludes, (), frozenset())
    state = await trio.to_thread.run_sync(_state, f"{place.git_directory}/index")
    if before is not None and before.excludes == excludes and before.index_state == state:
        return before
    listed = await attempt("ls-files", *IGNORED_AND_TRACKED, directory=place.top)
    if listed.code != 0 and exact:
        raise listed.failed()
    if listed.code != 0:
        return Rules(excludes, (), frozenset() if before is None else before.forced)
    names = (name for name in listed.stdout.split("\0") if name)
    return Rules(excludes, state, frozenset(name for name in names if name.startswith(place.prefix)))


def _state(path: str | None) -> tuple[int, ...]:
    if path is None:
        return ()
    try:
        seen = Path(path).stat()
    except OSError:
        return ()
    return (seen.st_mtime_ns, seen.st_size, seen.st_ino)
