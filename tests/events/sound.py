"""A data directory as a server leaves it, and how something else than Fleet could change it."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import lmdb
import trio

from fleet.adapters.clock import SystemClock
from fleet.core.session.decide import SESSION
from fleet.core.session.events import SessionErased
from fleet.core.session.state import State
from fleet.events.catalog import make_registry
from fleet.events.envelope import Cause, StateSnapshot
from fleet.events.heads import Expected
from fleet.events.lmdb_blobs import LmdbBlobs
from fleet.events.lmdb_log import LmdbLog
from fleet.events.read_only import reading_directory
from fleet.events.snapshots import fingerprint, pack
from fleet.events.verify import VerificationResult
from fleet.projections.proof import prove_everything
from fleet.projections.runner import Runner
from fleet.projections.store import LmdbViewStore, UnchangedViewStore
from fleet.projections.views import make_views
from tests.cli.sample_history import write_sample
from tests.core.sessions import STOPPED

Put = Callable[[bytes, bytes | None], None]


@contextmanager
def table_of(file: Path, name: str) -> Generator[tuple[dict[bytes, bytes], Put]]:
    """Open a table of a stopped Fleet, as something else than Fleet could: its entries, and how to change them."""
    environment = lmdb.open(str(file), subdir=file.is_dir(), lock=False, max_dbs=16)
    table = environment.open_db(name.encode(), create=False)
    with environment.begin(write=True, db=table) as transaction:
        entries = {bytes(key): bytes(value) for key, value in transaction.cursor()}

        def put(key: bytes, value: bytes | None) -> None:
            if value is None:
                transaction.delete(key)
            else:
                transaction.put(key, value)

        yield entries, put
    environment.close()


def make_sound(place: Path) -> Path:
    """Write a directory with two sessions, an erased third one, rows of views, snapshots, commands and blobs."""
    directory = write_sample(place).data_dir
    trio.run(grow, directory)
    return directory


async def grow(directory: Path) -> None:
    with LmdbLog.open(directory, make_registry(), SystemClock()) as log:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            views = make_views()
            with closing(LmdbViewStore(directory / "views", log.sealer)) as store:
                runner = Runner(log, store, views)
                runner.open()
                session = next(iter(views.sessions))
                stream = f"session-{session.id}"
                schema = fingerprint("session", State, SESSION.revision)
                position = log.read_stream(stream)[-1].position
                log.save_snapshot(stream, StateSnapshot(log.stream_version(stream), position, schema, pack(session)))
                gone = [*STOPPED, SessionErased(at_ms=1)]
                await log.append("session-gone", 0, gone, Cause("token:alice"), command_id="c", command_digest=b"d")
                await log.erase("session-gone")
                await runner.save()
            log.stop()


async def proven(directory: Path, expected: Sequence[Expected] = ()) -> VerificationResult:
    with (
        reading_directory(directory, make_registry()) as log,
        closing(UnchangedViewStore(directory / "views", log.sealer)) as views,
        LmdbBlobs(directory, read_only=True) as blobs,
    ):
        return await prove_everything(log, views, blobs, expected)
