"""Copies configuration and remote-tracking refs from a source repository to its clone.

The copied configuration decides the author, the target of pushes, the upstreams of branches, and the origin of missing
objects (a partial clone). Settings that name a program are not copied; not_carried.py lists them. A URL may contain a
password, so entries are copied from file to file, never in an argument list.
"""

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

import trio

from fleet.adapters.git.command import attempt, run
from fleet.adapters.git.config_hardening import LISTING, OWN_SCOPES
from fleet.errors import Problem

_CARRIED: Final = re.compile(
    "|".join(
        (
            r"(user|author|committer)\.(name|email|signingkey|useconfigonly)",
            r"remote\.(pushdefault|.+\.(url|pushurl|fetch|push|tagopt|prune|prunetags|promisor|partialclonefilter))",
            r"branch\.(autosetupmerge|autosetuprebase|.+\.(remote|merge|pushremote|rebase|description))",
            r"url\..+\.(insteadof|pushinsteadof)",
            r"push\.(default|autosetupremote|followtags)|pull\.(rebase|ff)|fetch\.(prune|prunetags)",
            r"rebase\.(autosquash|autostash)|merge\.(ff|conflictstyle)|commit\.(gpgsign|cleanup)|tag\.gpgsign",
            r"core\.(autocrlf|eol|safecrlf|excludesfile|attributesfile|quotepath|whitespace|abbrev|commentchar)",
            r"gpg\.format|i18n\..+|lfs\.(url|pushurl)|extensions\.partialclone",
        )
    )
)
_ADDRESSES: Final = re.compile(r"remote\..+\.(url|pushurl)")
_NOT_RELATIVE: Final = re.compile(r"[/~]|[^/]*:")


class Entry(NamedTuple):
    """An entry of a configuration. `value` is None for a key without a value."""

    key: str
    value: str | None
    is_own: bool

    @property
    def is_carried(self) -> bool:
        """Whether it is copied to a clone."""
        return self.is_own and _CARRIED.fullmatch(self.key) is not None

    @property
    def text(self) -> str:
        """Return the entry in the syntax of a configuration file."""
        section, _, rest = self.key.partition(".")
        subsection, _, name = rest.rpartition(".")
        head = f'[{section} "{_escaped(subsection)}"]' if subsection else f"[{section}]"
        return f"{head}\n\t{name}\n" if self.value is None else f'{head}\n\t{name} = "{_escaped(self.value)}"\n'


async def entries_of(own: str) -> tuple[Entry, ...]:
    """Return the configuration of a checkout's own git directory. Raises `Problem` git_failed."""
    fields = (await run("config", *LISTING, directory=own, repository=own)).split("\0")
    listed = zip(fields[::2], fields[1::2], strict=False)
    found = ((scope, *entry.partition("\n")) for scope, entry in listed)
    return tuple(Entry(key, value if mark else None, scope in OWN_SCOPES) for scope, key, mark, value in found)


async def carry_configuration(repository: str, own: str, making: str) -> None:
    """Copy the configuration of the source's checkout, whose git directory is `own`, to its clone.

    The `origin` of the clone is the source's `origin`, or the source itself if it has none. Raises `Problem`
    git_failed.
    """
    entries = [entry for entry in await entries_of(own) if entry.is_carried]
    base = repository.removesuffix("/.git")
    entries = [resolved(entry, base) for entry in entries]
    keys = {entry.key for entry in entries}
    if "remote.origin.url" in keys:
        for key in ("remote.origin.url", "remote.origin.fetch"):
            if key in keys:
                await run("config", "--unset-all", key, directory=making)
        await _forget_upstreams(making)
    if "extensions.partialclone" in keys:
        await run("config", "core.repositoryformatversion", "1", directory=making)
    text = "".join(entry.text for entry in entries)
    await trio.to_thread.run_sync(_append, Path(making, ".git", "config"), text)
    named = {key for key in keys if key.startswith("remote.") and key.endswith(".url")} - {"remote.origin.url"}
    remotes = [key.removeprefix("remote.").removesuffix(".url") for key in named]
    await _carry_tracking(repository, making, sorted(f"refs/remotes/{name}/" for name in remotes))


async def _forget_upstreams(making: str) -> None:
    """Remove the upstream that git has set for the source's current branch, because the source's one is copied."""
    listed = await attempt("config", "--name-only", "-z", "--get-regexp", r"^branch\.", directory=making)
    for key in dict.fromkeys(listed.stdout.split("\0")[:-1] if listed.says_yes() else []):
        await run("config", "--unset-all", key, directory=making)


async def _carry_tracking(repository: str, making: str, prefixes: list[str]) -> None:
    """Copy remote-tracking refs whose objects the clone has."""
    if not prefixes:
        return
    listed = await run(
        "for-each-ref",
        *("--format=%(objectname) %(refname) %(symref)", *prefixes),
        directory=repository,
        repository=repository,
    )
    refs = [
        (target, name) for target, name, symref in (line.split(" ", 2) for line in listed.splitlines()) if not symref
    ]
    if not refs:
        return
    asked = "".join(f"{target}\n" for target, _ in refs).encode()
    kinds = (await run("cat-file", "--batch-check=%(objecttype)", directory=making, stdin=asked)).splitlines()
    lines = [
        f"create {name} {at}\n" for (at, name), kind in zip(refs, kinds, strict=True) if not kind.endswith("missing")
    ]
    await run("update-ref", "--stdin", directory=making, stdin="".join(lines).encode())


async def require_whole(making: str) -> None:
    """Raise `Problem` git_failed if the clone lacks commits, or files of the checked-out commit.

    Objects that a partial clone can fetch from its promisor are not counted.
    """
    for what in (("--all", "HEAD"), ("--objects", "--no-walk", "HEAD")):
        walked = await attempt("rev-list", "--quiet", "--exclude-promisor-objects", *what, "--", directory=making)
        if walked.code != 0:
            raise Problem(
                "git_failed",
                f"the clone would lack objects, because its source does: {walked.failed().detail}",
                hint="Run `git fsck` in the source and fetch what is missing there, then try again.",
            )


def resolved(entry: Entry, base: str) -> Entry:
    """Return the entry with an absolute path: a relative one starts at the source, not at the clone."""
    if entry.value is None or not _ADDRESSES.fullmatch(entry.key) or _NOT_RELATIVE.match(entry.value):
        return entry
    return entry._replace(value=os.path.normpath(f"{base}/{entry.value}"))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _append(path: Path, text: str) -> None:
    try:
        path.chmod(0o600)
        with path.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    except OSError as error:
        raise Problem("git_failed", f"Fleet cannot write {str(path)!r}: {error.strerror}") from None
