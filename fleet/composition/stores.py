"""The stores of a server on its data directory: opened for a server that writes, or for one that only reads.

A read-only server changes no file of the data directory. It reads the views' rows as the last server wrote them. The
models in SQLite and the tokens, which change while they are read, are copied into a temporary directory.
"""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from fleet import __version__
from fleet.adapters.clock import SystemClock
from fleet.adapters.ids import SystemIds
from fleet.errors import StartupError
from fleet.events.catalog import make_registry
from fleet.events.directory_identity import read_identity, require_home, write_identity
from fleet.events.disk import room_bytes
from fleet.events.left_out import read_left_out
from fleet.events.lmdb_blobs import LmdbBlobs
from fleet.events.lmdb_log import LmdbLog
from fleet.events.lmdb_store import LOG_FILE
from fleet.events.read_only import reading_directory
from fleet.events.unchanged_log import UnchangedLog
from fleet.events.written_by import readable
from fleet.gateway.server.tokens import TokenFile, local_token
from fleet.limits import DISK_RESERVE_BYTES, MIB, START_BYTES_MIN
from fleet.private_files import read_local_token
from fleet.projections.file_seals import SEAL
from fleet.projections.projections import Stores
from fleet.projections.runner import digest_at
from fleet.projections.store import LmdbViewStore, UnchangedViewStore

if TYPE_CHECKING:
    from fleet.traces import Traces

_SQLITE: Final = ("history.sqlite", "index.sqlite")
_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a private directory in it, where the disk is full


class OpenStores(NamedTuple):
    """The open stores, the tokens, the secret of the server's own user, and the id of the data directory.

    `log` is the log to write, None for a read-only server.
    """

    log: LmdbLog | None
    stores: Stores
    tokens: TokenFile
    local: str | None
    data_id: str | None


@contextmanager
def open_stores(data_dir: Path, traces: "Traces | None") -> Generator[OpenStores]:
    """Open the stores for a server that writes. Raises `StartupError`, also if the directory is not at home."""
    require_home(data_dir)
    registry = make_registry()
    with (
        LmdbLog.open(data_dir, registry, SystemClock(), reserve_bytes=DISK_RESERVE_BYTES, traces=traces) as log,
        readable(log, registry, __version__),
        LmdbBlobs(data_dir) as blobs,
        closing(LmdbViewStore(data_dir / "views", log.sealer)) as views,
        local_token(data_dir) as local,
    ):
        identity = read_identity(data_dir) or write_identity(data_dir, SystemIds(SystemClock()).uuid7())
        history, index = (data_dir / "views" / name for name in _SQLITE)
        stores = Stores(log, blobs, views, history, index, data_dir, log.sealer, _left_out(data_dir, log))
        yield OpenStores(log, stores, TokenFile(data_dir), local, identity.id)


@contextmanager
def open_read_only(data_dir: Path) -> Generator[OpenStores]:
    """Open the stores for a server that changes nothing in `data_dir`. Raises `StartupError`."""
    registry = make_registry()
    with (
        reading_directory(data_dir, registry) as log,
        readable(log, registry, __version__),
        LmdbBlobs(data_dir, read_only=True) as blobs,
        closing(UnchangedViewStore(data_dir / "views", log.sealer)) as views,
        _scratch(data_dir) as scratch,
    ):
        identity = read_identity(data_dir)
        data_id = None if identity is None else identity.id
        # Without the key the seals of the files cannot be checked.
        history, index = (None if log.sealer is None else scratch / name for name in _SQLITE)
        stores = Stores(log, blobs, views, history, index, data_dir, log.sealer, _left_out(data_dir, log))
        yield OpenStores(None, stores, TokenFile(data_dir, read_only=True), read_local_token(data_dir), data_id)


def _left_out(data_dir: Path, log: LmdbLog | UnchangedLog) -> int:
    return read_left_out(data_dir, log.sealer, partial(digest_at, log))


def has_room(data_dir: Path) -> bool:
    """Return whether a server can write in the data directory, if it releases the reserve; at less it could not start.

    LMDB maps its files, so a disk without room would end the process by a signal.
    """
    if not (data_dir / LOG_FILE).exists():
        return True  # a first start says what it lacks
    return room_bytes(data_dir) >= START_BYTES_MIN


@contextmanager
def _scratch(data_dir: Path) -> Generator[Path]:
    """Copy the files that change while they are read into a temporary directory."""
    models = (data_dir / "views" / f"{name}{end}" for name in _SQLITE for end in ("", SEAL))
    copied = [file for file in models if file.exists()]
    needed_bytes = sum(file.stat().st_size for file in copied) + MIB
    places = [place for place in (Path(tempfile.gettempdir()), _IN_MEMORY) if _free_in(place) > 2 * needed_bytes]
    if not places:
        raise StartupError(
            f"There is no room for {2 * needed_bytes // MIB} MiB of temporary files: free space, or name another "
            "directory with TMPDIR."
        )
    with tempfile.TemporaryDirectory(prefix="fleet-read-only-", dir=places[0]) as scratch:
        for file in copied:
            shutil.copy2(file, scratch)
        yield Path(scratch)


def _free_in(place: Path) -> int:
    with suppress(OSError):
        return shutil.disk_usage(place).free
    return 0
