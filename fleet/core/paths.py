"""Path rules: what is inside the allowed roots, and file names made from text that people typed.

Pure: callers pass real, absolute paths (adapters/git/repository.py resolves them, symlinks included); nothing here
reads a disk.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePath

from fleet.limits import DIRECTORY_NAME_CHARS_MAX, SLUG_CHARS_MAX


def is_inside(path: str, roots: Iterable[str]) -> bool:
    """Return whether a real path is one of the roots or below one, component by component.

    False for a path that is relative or contains `..`.
    """
    pure = PurePath(path)
    if not pure.is_absolute() or ".." in pure.parts:
        return False
    return any(pure.is_relative_to(root) for root in roots)


def are_nested(one: str, other: str) -> bool:
    """Return whether two real paths are the same, or one is below the other.

    It compares them as text: each turn that ends asks about every other session.
    """
    first, second = one.rstrip("/") + "/", other.rstrip("/") + "/"
    return first.startswith(second) or second.startswith(first)


def slug(title: str, fallback: str = "session") -> str:
    """Return a name made from a title: `a-z0-9` in words with one dash between, at most `SLUG_CHARS_MAX` characters.

    Safe as part of a branch or directory name: no dash or dot at either end, and `fallback` instead of an empty one.
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.findall("[a-z0-9]+", plain)
    short = "-".join(words)[:SLUG_CHARS_MAX].rstrip("-")
    return short or fallback


def directory_name(name: str, fallback: str = "repository") -> str:
    """Return `name` as a safe directory name that people still recognise.

    Only `A-Za-z0-9._-`, without a dash or dot at the start or a dot at the end, at most `DIRECTORY_NAME_CHARS_MAX`
    characters; never empty.
    """
    plain = re.sub("[^A-Za-z0-9._-]+", "-", name)[:DIRECTORY_NAME_CHARS_MAX]
    return plain.lstrip("-.").rstrip("-.") or fallback
