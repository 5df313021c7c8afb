"""The doctor: checks everything that Fleet needs, and says what is wrong and what to do.

It may run beside a server, and changes nothing: the data directory is taken for a moment where no server has it. Like
fleet/composition/server.py it is above the adapters and asks them about themselves. fleet/cli/commands/doctor.py
shows the results.
"""

import errno
import os
import platform
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import trio

from fleet.adapters.clock import SystemClock
from fleet.adapters.opencode.binary import KNOWN_VERSIONS, release, resolve_binary, version
from fleet.config import Config
from fleet.diagnosis.checks import DISK_FREE_BYTES_COMFORTABLE, Check
from fleet.environment import remarks
from fleet.errors import StartupError, Unavailable
from fleet.events.backup_source import read_last_backup
from fleet.events.data_lock import DataLock, lock_holder
from fleet.events.directory_identity import require_home
from fleet.events.lmdb_store import LOG_FILE, LmdbStore
from fleet.gateway.server.tokens import TokenFile
from fleet.limits import DISK_FREE_BYTES_MIN, GIT_VERSION_TIMEOUT_S, MIB
from fleet.network import family_of, is_loopback, listens

BACKUP_AGE_DAYS: Final = 7
"""An older backup is a warning: a week of work would be lost."""

DAY_MS: Final = 24 * 60 * 60 * 1000


async def examine(config: Config, environment: Mapping[str, str]) -> tuple[Check, ...]:
    """Return all checks. Takes about a second, and at most as long as the limits on `--version` allow."""
    holder = lock_holder(config.data_dir)
    return (
        Check("Python", "ok", platform.python_version()),
        await _git(environment),
        await _opencode(config, environment),
        _ripgrep(environment),
        *_environment(environment),
        _data_directory(config.data_dir, holder),
        _disk(config.data_dir),
        *_backup(config.data_dir),
        _port(config, holder),
        _access(config),
        *(_root(root) for root in config.workspace_roots),
    )


async def _git(environment: Mapping[str, str]) -> Check:
    git = shutil.which("git", path=environment.get("PATH"))
    if git is None:
        return Check("git", "failed", "not found on the PATH", "Install git.")
    try:
        with trio.fail_after(GIT_VERSION_TIMEOUT_S):
            done = await trio.run_process([git, "--version"], capture_stdout=True, capture_stderr=True, check=False)
    except (OSError, trio.TooSlowError) as error:
        return Check("git", "failed", f"{git} does not run: {error or 'no response'}", "Install git again.")
    if done.returncode != 0:
        return Check("git", "failed", f"{git}: {done.stderr.decode(errors='replace').strip()}", "Install git again.")
    return Check("git", "ok", done.stdout.decode(errors="replace").strip().removeprefix("git version "))


async def _opencode(config: Config, environment: Mapping[str, str]) -> Check:
    named = str(config.opencode) if config.opencode else None
    try:
        binary = resolve_binary(named, environment)
        found = await version(binary, environment)
    except Unavailable as problem:
        return Check("OpenCode", "failed", problem.detail, problem.hint or "")
    detail = f"{found} at {binary}"
    if found in KNOWN_VERSIONS:
        return Check("OpenCode", "ok", detail)
    tested = ", ".join(KNOWN_VERSIONS)
    if release(found) < release(KNOWN_VERSIONS[0]):
        return Check("OpenCode", "warning", detail, f"Fleet is tested with {tested}; this one is older: upgrade it.")
    return Check("OpenCode", "warning", detail, f"Fleet is tested with {tested}; this version probably works.")


def _ripgrep(environment: Mapping[str, str]) -> Check:
    found = shutil.which("rg", path=environment.get("PATH"))
    if found is None:
        advice = "Install ripgrep: without it OpenCode's grep and glob tools need the internet."
        return Check("ripgrep", "warning", "no rg on the PATH", advice)
    return Check("ripgrep", "ok", found)


def _environment(environment: Mapping[str, str]) -> tuple[Check, ...]:
    if not (found := remarks(environment)):
        return (Check("environment", "ok", "no variable that affects sessions"),)
    advice = "You need not do anything. To remove this warning, unset the variables that you do not need."
    return tuple(Check("environment", "warning", remark, advice) for remark in found)


def _data_directory(directory: Path, holder: int | None) -> Check:
    if holder is not None:
        return Check("data directory", "ok", f"{directory}, in use by Fleet (process {holder})")
    if not directory.exists():
        parent = _existing(directory)
        if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
            return Check("data directory", "ok", f"{directory}, which the first start creates")
        advice = "Make the parent writable for this user, or choose another directory with --data-dir."
        return Check("data directory", "failed", f"{directory} cannot be created in {parent}", advice)
    try:
        require_home(directory)
        _open_log(directory)
    except StartupError as error:
        return Check("data directory", "failed", str(error))
    return Check("data directory", "ok", str(directory))


def _open_log(directory: Path) -> None:
    """Open the log as a server would, and close it. Raises `StartupError`."""
    lock = DataLock(directory)
    try:
        file = directory / LOG_FILE
        if file.exists():
            LmdbStore(file).close()
    finally:
        lock.close()


def _disk(directory: Path) -> Check:
    free_bytes = shutil.disk_usage(_existing(directory)).free
    detail = f"{free_bytes // MIB:,} MiB free"
    if free_bytes < DISK_FREE_BYTES_MIN:
        advice = f"Free some space: Fleet stops recording below {DISK_FREE_BYTES_MIN // MIB} MiB."
        return Check("disk", "failed", detail, advice)
    if free_bytes < DISK_FREE_BYTES_COMFORTABLE:
        return Check("disk", "warning", detail, "Free some space: worktrees and clones need it.")
    return Check("disk", "ok", detail)


def _backup(directory: Path) -> tuple[Check, ...]:
    """Say how old the newest backup is, once there is something to back up."""
    log = directory / LOG_FILE
    if not log.exists():
        return ()
    advice = "Make one with `fleet backup DIR`. docs/backup.md has a schedule for cron and systemd."
    last = read_last_backup(directory)
    if last is None:
        return (Check("backup", "warning", "no backup was made", advice),)
    age_days = max(0, SystemClock().now_ms() - last.made_at_ms) / DAY_MS
    detail = f"the newest is {age_days:.1f} days old and reaches position {last.position}"
    return (
        Check("backup", "ok", detail) if age_days <= BACKUP_AGE_DAYS else Check("backup", "warning", detail, advice),
    )


def _port(config: Config, holder: int | None) -> Check:
    place = f"{config.host}:{config.port}"
    try:
        _bind(config.host, config.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and holder is not None and listens(holder, config.port):
            return Check("port", "ok", f"{place}, Fleet is listening (process {holder})")
        why = error.strerror or str(error)
        return Check(
            "port", "failed", f"{place}: {why}", "Stop the program that uses it, or choose another port with --port."
        )
    return Check("port", "ok", f"{place} is free")


def _access(config: Config) -> Check:
    clock = SystemClock()
    try:
        register = TokenFile(config.data_dir).read()
    except Unavailable as problem:
        return Check("access", "failed", problem.detail, problem.hint or "")
    usable = sum(token.status(clock.now_ms()) == "active" for token in register.tokens)
    if register.tokens and usable:
        return Check("access", "ok", f"with a token; {usable} are valid")
    if not is_loopback(config.host):
        advice = "Create one with `fleet token new --role operator`."
        return Check("access", "failed", f"{config.host} needs a token, and there is no valid one", advice)
    if register.tokens:
        return Check(
            "access",
            "warning",
            "every token has expired or was revoked",
            "Create one with `fleet token new --role operator`.",
        )
    return Check("access", "ok", "every program of this machine, by loopback; after the first token, all need one")


def _bind(host: str, port: int) -> None:
    with socket.socket(family_of(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, for closed connections
        probe.bind((host, port))


def _root(root: Path) -> Check:
    if root.is_dir():
        return Check("workspace root", "ok", str(root))
    advice = "Create it, or remove it from the list (--workspace-roots)."
    return Check("workspace root", "failed", f"{root} is not a directory", advice)


def _existing(path: Path) -> Path:
    """Return the path itself or the nearest ancestor that exists."""
    while not path.exists():
        path = path.parent
    return path
