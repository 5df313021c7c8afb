"""Removes programs from a repository's configuration, because git would run those in a stranger's `.git/config`.

Only the user decides which programs run, so filters, ssh commands and credential helpers are allowed in the user's own
configuration. Those of the repository are overridden by the user's, or by an empty value. Hooks, monitors and pagers
are always disabled (command.py). Programs of commands that Fleet never uses (textconv, merge drivers, submodule
updates) are not listed here; tests/security has them.
"""

import re
from collections.abc import Mapping
from typing import Final

from fleet.errors import Problem

LISTING: Final = ("--list", "--show-scope", "--includes", "-z")
"""Arguments of `git config` for what `disarmed` reads."""

OWN_SCOPES: Final = frozenset(("local", "worktree"))
"""The scopes of `git config --show-scope` that belong to the repository."""
_NEUTRAL: Final = (
    (re.compile(r"filter\..+\.required"), "false"),
    (re.compile(r"filter\..+\.(smudge|clean|process)"), ""),
    (re.compile(r"credential\.(.+\.)?helper"), ""),  # an empty one clears the earlier ones
    (re.compile(r"core\.sshcommand"), "ssh"),
    (re.compile(r"core\.alternaterefscommand"), ":"),
)
_CHECKOUTS: Final = (("worktree", "add"), ("worktree", "remove"))
# git uses the first value of these that it reads, the repository's, so a later value does not override it.
_GIT_PROXY: Final = re.compile(r"core\.gitproxy")
_UPLOAD_PACK: Final = re.compile(r"remote\..+\.uploadpack")


def disarmed(environment: Mapping[str, str], listed: str, command: tuple[str, ...]) -> dict[str, str]:
    """Return `environment` so that the git command runs no program of the repository.

    `listed` is the output of `git config` with `LISTING` in that repository. Raises `Problem` git_failed if it may
    differ from what the command reads: conditions may differ between a worktree and its repository.
    """
    fields = listed.split("\0")
    entries = [(scope, *_entry(text)) for scope, text in zip(fields[::2], fields[1::2], strict=False)]
    named = dict.fromkeys(key for scope, key, _ in entries if scope in OWN_SCOPES)
    chosen: list[tuple[str, str]] = []
    if command[:2] in _CHECKOUTS and any(key.startswith("includeif.") for key in named):
        raise Problem(
            "git_failed",
            "the repository's own configuration includes files conditionally, and they might name programs",
            hint="Move `includeIf` from .git/config to your own ~/.gitconfig, or use the strategy `clone`.",
        )
    safe = dict(environment)
    for key in named:
        neutral = next((value for pattern, value in _NEUTRAL if pattern.fullmatch(key)), None)
        if neutral is not None:
            users = [value for scope, other, value in entries if other == key and scope not in OWN_SCOPES]
            chosen += [(key, value) for value in (neutral, *users)]
        elif _GIT_PROXY.fullmatch(key):
            safe["GIT_PROXY_COMMAND"] = ""
        elif _UPLOAD_PACK.fullmatch(key) and command[0] != "fetch":  # Fleet's own fetches use a path, not a remote
            chosen.append(("protocol.file.allow", "never"))
    for number, (key, value) in enumerate(chosen, start=int(safe.get("GIT_CONFIG_COUNT", "0"))):
        safe |= {
            "GIT_CONFIG_COUNT": str(number + 1),
            f"GIT_CONFIG_KEY_{number}": key,
            f"GIT_CONFIG_VALUE_{number}": value,
        }
    return safe


def _entry(text: str) -> tuple[str, str]:
    """Return key and value. git prints the section and name of the key in lower case."""
    key, _, value = text.partition("\n")
    return key, value
