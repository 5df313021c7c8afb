"""Removes programs from a repository's configuration, because git would run what a stranger's `.git/config` names.

Filters, a command for ssh and helpers for passwords are legitimate where the user has configured them, for that user
alone may say what runs here. So what the repository itself names is overridden by what the user's own configuration
has, or by nothing. Hooks, monitors and pagers are turned off for good (command.py), and what git runs only in
commands that Fleet never uses (textconv, merge drivers, submodule updates) is not named here; tests/security has them.
"""

import re
from collections.abc import Mapping
from typing import Final

from fleet.errors import Problem

LISTING: Final = ("--list", "--show-scope", "--includes", "-z")
"""Arguments of `git config` for what `disarmed` reads."""

OWN_SCOPES: Final = frozenset(("local", "worktree"))
"""Where `git config --show-scope` has what the repository itself names."""
_NEUTRAL: Final = (
    (re.compile(r"filter\..+\.required"), "false"),
    (re.compile(r"filter\..+\.(smudge|clean|process)"), ""),
    (re.compile(r"credential\.(.+\.)?helper"), ""),  # an empty one forgets those before it
    (re.compile(r"core\.sshcommand"), "ssh"),
    (re.compile(r"core\.alternaterefscommand"), ":"),
)
_CHECKOUTS: Final = (("worktree", "add"), ("worktree", "remove"))
# git takes the first value of these that it reads, the repository's, so that another one does not override it.
_GIT_PROXY: Final = re.compile(r"core\.gitproxy")
_UPLOAD_PACK: Final = re.compile(r"remote\..+\.uploadpack")


def disarmed(environment: Mapping[str, str], listed: str, command: tuple[str, ...]) -> dict[str, str]:
    """Return `environment` so that the git command runs no program of the repository.

    `listed` is what `git config` printed with `LISTING`, in that repository. Raises `Problem` git_failed where that
    does not tell what will be read: a checkout made by `git worktree` meets other conditions than the repository.
    """
    fields = listed.split("\0")
    entries = [(scope, *_entry(text)) for scope, text in zip(fields[::2], fields[1::2], strict=False)]
    named = dict.fromkeys(key for scope, key, _ in entries if scope in OWN_SCOPES)
    chosen: list[tuple[str, str]] = []
    if command[:2] in _CHECKOUTS and any(key.startswith("includeif.") for key in named):
        raise Problem(
            "git_failed",
            "The repository's own configuration includes files on conditions, and they might name programs",
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
        elif _UPLOAD_PACK.fullmatch(key) and command[0] != "fetch":  # Fleet's own fetches name a path and no remote
            chosen.append(("protocol.file.allow", "never"))
    for number, (key, value) in enumerate(chosen, start=int(safe.get("GIT_CONFIG_COUNT", "0"))):
        safe |= {
            "GIT_CONFIG_COUNT": str(number + 1),
            f"GIT_CONFIG_KEY_{number}": key,
            f"GIT_CONFIG_VALUE_{number}": value,
        }
    return safe


def _entry(text: str) -> tuple[str, str]:
    """Return key and value. git has put section and name of the key into lower case."""
    key, _, value = text.partition("\n")
    return key, value
