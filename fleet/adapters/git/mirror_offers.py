"""What the server offers of a repository to a mirror on another host, and what a workspace there lacks of it.

Refs travel, and of the configuration what a clone gets, with the identity of the user. Hooks, programs and settings
that name a file of this machine stay, and passwords are removed from addresses: a host uses its own access.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import trio

from fleet.adapters.git.clone_config import Entry, entries_of, resolved
from fleet.adapters.git.files import read_file
from fleet.adapters.git.includes import INCLUDE_FILE, included
from fleet.adapters.git.mirrors import FOLLOWED
from fleet.adapters.git.not_carried import filters_left, hooks_in, named, settings_left
from fleet.adapters.git.packs import Objects
from fleet.adapters.git.repository import read_refs
from fleet.errors import Problem
from fleet.ports import MirrorOffer, NotCarried, Source

_IDENTITY: Final = frozenset(("user.name", "user.email"))
_OF_THIS_MACHINE: Final = re.compile(
    r"core\.(excludesfile|attributesfile)|user\.signingkey|(commit|tag)\.gpgsign|gpg\..+"
    r"|extensions\.partialclone|remote\..+\.(promisor|partialclonefilter)"
)
"""Settings that name files or keys of this machine, or objects that stay with the source."""
_ORIGIN: Final = "remote.origin.url"
_URL_LOGIN: Final = re.compile(r"(?<=://)[^/@\s]*@")
_SSH_PASSWORD: Final = re.compile(r"(?<=^ssh://)([^/@:\s]+):[^/@\s]*@")
_REMOTE: Final = re.compile(r"(?!file:)[a-z+.-]+://.+|[^/:]+:.+")
"""An address on another machine."""


async def offer_of(source: Source, repository: str, also: Mapping[str, str]) -> MirrorOffer:
    """Return what to offer of a repository (see `MirrorOffer`). Raises `Problem` git_failed."""
    objects = Objects(repository)
    listed = await read_refs(repository, *(name.rstrip("/") for name in FOLLOWED))
    there = set(await objects.among(tuple(sorted(set(listed.values())))))
    named_well = {name: at for name, at in sorted(listed.items()) if at in there and name.isprintable()}
    offer = MirrorOffer(
        digest="",
        refs=named_well,
        also=dict(sorted(also.items())),
        branch=source.branch,
        object_format=await objects.run("rev-parse", "--show-object-format"),
        shallow=tuple((await _text(f"{repository}/shallow")).split()),
        configuration=os.fsencode("".join(entry.text for entry in await _configuration(source, repository))),
        exclude=os.fsencode(await _text(f"{repository}/info/exclude")),
    )
    return msgspec.structs.replace(offer, digest=hashlib.sha256(msgspec.msgpack.encode(offer)).hexdigest())


async def origin_of(source: Source, repository: str) -> str | None:
    """Return the address of `origin` without a password, None if there is none on another machine."""
    for entry in await _configuration(source, repository):
        if entry.key == _ORIGIN and entry.value is not None and _REMOTE.fullmatch(entry.value):
            return entry.value
    return None


async def left_behind(source: Source, repository: str) -> tuple[NotCarried, ...]:
    """Return what a workspace on another host lacks of its source. Raises `Problem` git_failed."""
    entries = await entries_of(source.git_directory or repository)
    hooks = await trio.to_thread.run_sync(hooks_in, Path(repository, "hooks"))
    stays = {entry.key for entry in entries if entry.is_own and not (entry.is_carried and _travels(entry))}
    found = [filters_left(entries), _hooks(entries, hooks), settings_left(stays, "on other hosts"), _logins(entries)]
    return (*(each for each in found if each is not None), *await _files(source.top))


async def _configuration(source: Source, repository: str) -> list[Entry]:
    entries = await entries_of(source.git_directory or repository)
    base = repository.removesuffix("/.git")
    carried = [resolved(entry, base) for entry in entries if entry.is_carried and _travels(entry)]
    # The user's own settings count for the user alone, but commits on the host have the same author.
    identity = {entry.key: entry for entry in entries if entry.key in _IDENTITY}
    others = [_without_login(entry) for entry in carried if entry.key not in _IDENTITY]
    return [*identity.values(), *(entry for entry in others if not _URL_LOGIN.search(entry.key))]


def _travels(entry: Entry) -> bool:
    return _OF_THIS_MACHINE.fullmatch(entry.key) is None


def _without_login(entry: Entry) -> Entry:
    """Return the entry without the login in an address; `ssh` needs the user's name, but no password."""
    if entry.value is None:
        return entry
    if entry.value.startswith("ssh://"):
        return entry._replace(value=_SSH_PASSWORD.sub(r"\1@", entry.value))
    return entry._replace(value=_URL_LOGIN.sub("", entry.value))


def _hooks(entries: tuple[Entry, ...], hooks: list[str]) -> NotCarried | None:
    paths = [entry.value for entry in entries if entry.is_own and entry.key == "core.hookspath" and entry.value]
    if not paths and not hooks:
        return None
    which = f"in {paths[-1]!r} (core.hooksPath)" if paths else f"of the repository: {named(hooks)}"
    return NotCarried("hooks", f"Hooks are not copied to other hosts, so they do not run there: those {which}.")


def _logins(entries: tuple[Entry, ...]) -> NotCarried | None:
    keys = sorted({entry.key for entry in entries if entry.is_carried and _without_login(entry) != entry})
    if not keys:
        return None
    return NotCarried(
        "config",
        f"Logins in addresses are not copied to other hosts: {named(keys)}. Give the host its own access, or push from "
        "here: Fleet brings the branches back.",
    )


async def _files(top: str | None) -> tuple[NotCarried, ...]:
    if top is None:
        return ()
    try:
        names = await included(top)
    except (OSError, Problem) as error:
        reason = error.detail if isinstance(error, Problem) else str(error)
        return (NotCarried("files", f"Fleet could not read {INCLUDE_FILE}: {reason}"),)
    if not names:
        return ()
    return (
        NotCarried(
            "files",
            f"Ignored files of {INCLUDE_FILE} are not on other hosts: {named(names)}. Create them in the set-up.",
        ),
    )


async def _text(path: str) -> str:
    try:
        return os.fsdecode(await trio.to_thread.run_sync(read_file, path))
    except OSError:
        return ""
