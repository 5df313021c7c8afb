"""Collects the rules, beside the `.gitignore` files, that decide which files of a directory are ignored."""

from pathlib import Path
from typing import Final, NamedTuple

import trio

from fleet.adapters.git.checkout_location import Place
from fleet.adapters.git.command import attempt

IGNORED_AND_TRACKED: Final = ("--cached", "--ignored", "--exclude-standard", "-z")


class Rules(NamedTuple):
    """The rules as they were at a moment.

    `excludes`: where the directory lies and what is ignored there by other files than `.gitignore`. `forced`: names in
    the user's own index that a rule ignores; they count all the same. `index_state` tells whether to read it again.
    """

    excludes: tuple[object, ...]
    index_state: tuple[int, ...]
    forced: frozenset[str]

    def same(self, other: "Rules | None") -> bool:
        """Tell whether both let the same files count."""
        return other is not None and (self.excludes, self.forced) == (other.excludes, other.forced)


async def rules_of(place: Place, before: Rules | None, *, exact: bool = False) -> Rules:
    """Return the rules of a place, reading the user's index only if it was written since `before`.

    `exact`: an index that git cannot read is a `Problem` git_failed. Else what was known before holds until it can.
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
