"""The identity of a data directory: its id, and the place where it lives, so that a copy is never taken for it.

`identity.json` (0600) in the data directory has a UUID, the real path of the directory, the inode of the file itself,
and the id of the machine. A directory is at home when it is at that path and the file has that inode: a rename of any
directory above it changes the path, and a copy of it (`cp`, `rsync`, an unpacked archive) changes the inode, also at
the same path. A copied or moved directory is not at home, because a copy of the log names the processes and
directories of the original. Fleet then asks instead of guessing. The device is not compared, because many systems
give devices new numbers at each boot.

Each process that Fleet starts has the id in its environment (adapters/opencode/identity.py).
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from fleet.errors import StartupError
from fleet.events.data_lock import lock_holder
from fleet.private_files import replacing, write_private

FILE: Final = "identity.json"
_NO_INODE: Final = 0
"""Of a backup and of an import: no start of Fleet in them is at home."""
_MACHINE_IDS: Final = ("/etc/machine-id", "/var/lib/dbus/machine-id")


class DirectoryIdentity(msgspec.Struct, frozen=True):
    """The content of the file. `place` is a real path; `machine` is None where the system has no id."""

    id: str
    place: str
    inode: int
    machine: str | None = None


def read_identity(directory: Path) -> DirectoryIdentity | None:
    """Return the identity; None in a new directory, and in one of a version without it. Raises `StartupError`."""
    file = directory / FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=DirectoryIdentity)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise StartupError(
            f"{file} cannot be read ({error}): make it readable for this user, or restore it from a backup."
        ) from error


def write_identity(directory: Path, directory_id: str) -> DirectoryIdentity:
    """Make the directory the home of this id, durably: it replaces an earlier identity. Raises `OSError`."""
    with replacing(directory / FILE, durable=True) as new:
        inode = os.fstat(new.fileno()).st_ino  # a rename keeps it
        identity = DirectoryIdentity(directory_id, os.path.realpath(directory), inode, machine_id())
        new.write(msgspec.json.format(msgspec.json.encode(identity)))
    return identity


def write_import_identity(directory: Path, directory_id: str, source: Path) -> None:
    """Record durably which export the directory was imported from; it has no place of its own. Raises `OSError`."""
    identity = DirectoryIdentity(directory_id, os.path.realpath(source), _NO_INODE)
    write_private(directory / FILE, msgspec.json.format(msgspec.json.encode(identity)), durable=True)


def is_home(directory: Path, identity: DirectoryIdentity) -> bool:
    """Return whether the directory is the one that the identity was written for."""
    if os.path.realpath(directory) != identity.place:
        return False
    return (directory / FILE).stat().st_ino == identity.inode


def require_home(directory: Path) -> None:
    """Raise `StartupError` if the directory is a copy, or was moved."""
    identity = read_identity(directory)
    if identity is None or is_home(directory, identity):
        return
    raise StartupError(
        f"{_seen(directory, identity)}, so Fleet does not start: its log names processes and workspaces of the "
        f"original.\n{_advice(directory, identity)}"
    )


def _seen(directory: Path, identity: DirectoryIdentity) -> str:
    """Return what can be seen of the original, as the beginning of a sentence."""
    here = f"The data directory {directory}"
    place = Path(identity.place)
    if os.path.realpath(directory) == identity.place:
        return f"{here} is a copy that replaced the original, or was moved here from another disk{_machine(identity)}"
    if identity.inode == _NO_INODE and not place.is_dir():
        return f"{here} was imported from {place}"
    with suppress(StartupError, OSError):
        original = read_identity(place)
        if original is not None and original.id == identity.id:
            holder = lock_holder(place)
            running = "no server runs there" if holder is None else f"a server runs there, process {holder}"
            return f"{here} is a copy of {place} ({running})"
    return f"{here} was moved or copied from {place}, where it no longer is{_machine(identity)}"


def _machine(identity: DirectoryIdentity) -> str:
    here = machine_id()
    other = here is not None and identity.machine is not None and here != identity.machine
    return " (on another machine)" if other else ""


def _advice(directory: Path, identity: DirectoryIdentity) -> str:
    moved = os.path.realpath(directory) != identity.place and not Path(identity.place).exists()
    back = f"  - Move it back to {identity.place}, if only its path has changed.\n" if moved else ""
    return (
        f"{back}"
        f"  - `fleet restore --in-place {directory}`: it becomes a Fleet of its own. Its OpenCode processes are "
        "recorded as lost; no process is touched.\n"
        f"  - `fleet serve --read-only --data-dir {directory}`: you can read it, and nothing is changed."
    )


def machine_id() -> str | None:
    """Return the id of this machine, which stays the same when it boots; None where it has none."""
    for file in _MACHINE_IDS:
        with suppress(OSError):
            if found := Path(file).read_text().strip():
                return found
    return None
