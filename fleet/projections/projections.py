"""All projections of one Fleet, opened over its stores."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import trio

from fleet.events.blobs import Blobs
from fleet.events.feed import Feed
from fleet.events.log import Log
from fleet.events.seals import Sealer
from fleet.events.times import LogTimes
from fleet.projections.activities import Activities
from fleet.projections.change_records import ChangeRecords
from fleet.projections.file_seals import FileSeal
from fleet.projections.folds import Folds
from fleet.projections.history import History, inline
from fleet.projections.indexes import Indexes, Indexing
from fleet.projections.inflight import InFlight
from fleet.projections.past import PastViews, past_of
from fleet.projections.runner import Runner
from fleet.projections.setup_output import WrittenOutput, setup_outputs
from fleet.projections.store import ViewStore
from fleet.projections.touched import Touched
from fleet.projections.transcripts import Transcripts
from fleet.projections.views import Views, make_views


class Stores(NamedTuple):
    """The stores on disk. The views' rows, the history and the index are disposable.

    A file that is None keeps its content in memory. Files need a `sealer` to be used again by the next run.
    Contents that events up to `left_out_through` name may be missing (events/left_out.py).

    `directory` is the data directory, None for stores in memory.
    """

    log: Log
    blobs: Blobs
    views: ViewStore
    history_file: Path | None = None
    index_file: Path | None = None
    directory: Path | None = None
    sealer: Sealer | None = None
    left_out_through: int = 0


class Projections(NamedTuple):
    """The read models of the log, and the tasks that follow it."""

    views: Views
    runner: Runner
    feed: Feed
    inflight: InFlight
    touched: Touched
    indexes: Indexes
    indexing: Indexing
    times: LogTimes
    transcripts: Transcripts
    change_records: ChangeRecords
    setup_outputs: Folds[WrittenOutput]
    past: PastViews
    history: History


def open_projections(stores: Stores, now_ms: Callable[[], int], *, threads: bool) -> Projections:
    """Return the projections, with the views as last stored. Without `threads` all work is done inline."""
    log, views = stores.log, make_views()
    runner = Runner(log, stores.views, views, trio.to_thread.run_sync if threads else inline)
    runner.open()
    inflight = InFlight(Activities(now_ms))
    log.listen(inflight.on_commit)
    touched = Touched(log, views, inflight.activities)
    feed = Feed(log)
    indexes = Indexes(log, stores.index_file, _seal_of(stores, stores.index_file))
    times = LogTimes(log, indexes)
    return Projections(
        views=views,
        runner=runner,
        feed=feed,
        inflight=inflight,
        touched=touched,
        indexes=indexes,
        indexing=Indexing(indexes, times, log, None if threads else inline),
        times=times,
        transcripts=Transcripts(log, indexes),
        change_records=ChangeRecords(log, indexes),
        setup_outputs=setup_outputs(log),
        past=past_of(views, log),
        history=History(
            log,
            feed,
            stores.history_file,
            run_sync=None if threads else inline,
            seal=_seal_of(stores, stores.history_file),
        ),
    )


def _seal_of(stores: Stores, file: Path | None) -> FileSeal | None:
    return None if file is None or stores.sealer is None else FileSeal(file, stores.sealer, stores.log)
