"""Finds the OpenCode executable and its version, and checks that this version may open the existing data.

`process` starts the native binary that is found here, never npm's Node wrapper, which would leave the server as an
orphan when it dies. Data that a version from 1.17 on has used is never opened by an older version, which would respond
to every request with an error (`VersionRecord`).
"""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import trio

from fleet.errors import Unavailable
from fleet.limits import OPENCODE_VERSION_TIMEOUT_S
from fleet.private_files import make_private_directory, write_private

KNOWN_VERSIONS: Final = ("1.17.19", "1.18.33")
"""Versions that pass the contract suite of tests/e2e."""

SET_UP: Final = Path(__file__).parents[3] / ".tools" / "node_modules" / ".bin" / "opencode"
"""Where `make setup` installs OpenCode in the checkout of this file. A wheel does not have it."""

_INCOMPATIBLE_SINCE: Final = (1, 17, 0)
_INSTALL: Final = "Install it (`npm install -g opencode-ai`) or name it with --opencode or FLEET_OPENCODE."

Release = tuple[int, int, int]


def release(version: str) -> Release:
    """Return the numbers of a version for comparison; a version without numbers (a development build) is the newest."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else (999, 0, 0)


def resolve_binary(named: str | None, environment: Mapping[str, str]) -> Path:
    """Return the real path of the native binary: `named`, else `opencode` on the PATH, else that of `make setup`.

    Raises `Unavailable`: opencode_missing, opencode_not_executable.
    """
    found = shutil.which(named or "opencode", path=environment.get("PATH"))
    if found is None and named is None:
        found = shutil.which(SET_UP)
    if found is None:
        raise _unusable(named)
    return _behind_wrapper(Path(found).resolve())


def _unusable(named: str | None) -> Unavailable:
    if named is not None and Path(named).exists():
        return not_executable(Path(named))
    where = f"at {named}" if named else "on the PATH"
    return Unavailable("opencode_missing", f"there is no OpenCode {where}", hint=_INSTALL)


def not_executable(
    binary: Path, reason: str = "it lacks the permission to be executed, or is a directory"
) -> Unavailable:
    """Return the problem for a file that cannot be executed."""
    return Unavailable("opencode_not_executable", f"OpenCode at {binary} cannot be executed: {reason}", hint=_INSTALL)


def _behind_wrapper(binary: Path) -> Path:
    """Return the native binary that npm's script at `binary` starts; any other file is returned unchanged.

    Up to 1.15.0 the package's `bin/opencode` is a Node script beside the binary; pnpm and Windows add a shell script.
    """
    first_line = _first_line(binary)
    if not first_line.startswith(b"#!"):
        return binary
    package = binary.parent.parent / "opencode-ai" / "bin"
    beside = (binary.parent, package) if binary.parent.name in ("bin", ".bin") else ()
    for directory in beside:
        for name in (".opencode", "opencode.exe"):
            native = directory / name
            if native != binary and os.access(native, os.X_OK) and not _first_line(native).startswith(b"#!"):
                return native.resolve()
    if b"node" in first_line:
        raise not_executable(binary, "it is npm's Node wrapper, and the native binary beside it is missing")
    return binary


def _first_line(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.readline(200)
    except OSError as error:
        raise not_executable(file, error.strerror or "it cannot be read") from error


async def version(binary: Path, environment: Mapping[str, str]) -> str:
    """Return the output of `opencode --version`. Raises `Unavailable` opencode_missing or opencode_not_executable."""
    try:
        with trio.fail_after(OPENCODE_VERSION_TIMEOUT_S):
            done = await trio.run_process(
                [binary, "--version"],
                cwd="/",  # the current directory may be deleted, and OpenCode then does not start
                env=environment,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
    except FileNotFoundError:
        raise Unavailable("opencode_missing", f"there is no OpenCode at {binary}", hint=_INSTALL) from None
    except OSError as error:
        raise not_executable(binary, error.strerror or str(error)) from error
    except trio.TooSlowError:
        raise not_executable(binary, f"--version did not end in {OPENCODE_VERSION_TIMEOUT_S:g} s") from None
    output = done.stdout.decode(errors="replace").strip()
    if done.returncode != 0 or not output:
        complaint = done.stderr.decode(errors="replace").strip()[:500]
        raise not_executable(binary, f"--version ended with {done.returncode}: {complaint or 'no output'}")
    return output.splitlines()[-1]


def modified_ns(file: Path) -> int:
    """Return when the file was modified, in nanoseconds. Raises `Unavailable` opencode_not_executable."""
    try:
        return file.stat().st_mtime_ns
    except OSError as error:
        raise not_executable(file, error.strerror or str(error)) from error


def database(environment: Mapping[str, str]) -> Path:
    """Return the path of OpenCode's database in this environment."""
    named = environment.get("OPENCODE_DB")
    return Path(named) if named else data_directory(environment) / "opencode.db"


def data_directory(environment: Mapping[str, str]) -> Path:
    """Return the path of OpenCode's data directory in this environment."""
    home = environment.get("HOME") or str(Path.home())
    share = environment.get("XDG_DATA_HOME") or f"{home}/.local/share"
    return Path(share) / "opencode"


class VersionRecord:
    """Records in Fleet's data directory the newest version that Fleet has started with each of OpenCode's stores."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def admit(self, store: Path, candidate: str) -> None:
        """Record that `candidate` opens `store`. Raises `Unavailable` opencode_downgrade if it cannot read it."""
        known = self._known()
        newest = known.get(str(store))
        if newest is not None and release(candidate) < _INCOMPATIBLE_SINCE <= release(newest):
            raise Unavailable(
                "opencode_downgrade",
                f"OpenCode {newest} has used {store}, and {candidate} can no longer read it",
                hint=f"Use OpenCode {newest} or newer, or set XDG_DATA_HOME to give this version its own store.",
            )
        if newest is None or release(newest) < release(candidate):
            self._keep({**known, str(store): candidate})

    def _known(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            return {}
        except msgspec.DecodeError as error:
            raise Unavailable(
                "opencode_downgrade",
                f"{self._file}, the record of the OpenCode version of each store, is damaged: {error}",
                hint="Remove the file if you are sure that OpenCode was not downgraded.",
            ) from error

    def _keep(self, known: Mapping[str, str]) -> None:
        make_private_directory(self._file.parent)
        write_private(self._file, msgspec.json.encode(known))
