"""Imports of records: all of the log, or none of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.events.envelope import Cause
from fleet.events.import_log import import_records
from fleet.events.lmdb_store import LOG_FILE
from fleet.events.read_only import reading_directory
from fleet.events.verify import verify
from fleet.limits import EXPORT_PAGE_EVENTS
from tests.events.samples import Opened, sample_registry
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog


async def test_import_that_was_cut_off_leaves_no_log_and_can_be_repeated(tmp_path: Path) -> None:
    disk = MemoryDisk()
    events = [Opened("title")] * (EXPORT_PAGE_EVENTS + 2)
    await MemoryLog(disk, sample_registry(), FakeClock()).append("a-1", 0, events, Cause())

    def cut_off() -> Iterator[bytes]:
        yield from disk.records[: EXPORT_PAGE_EVENTS + 1]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        import_records(tmp_path, cut_off(), 1)
    assert not (tmp_path / LOG_FILE).exists()
    end = import_records(tmp_path, disk.records, 1)
    with reading_directory(tmp_path, sample_registry()) as log:
        assert (verify(log).first_break, log.head(), end.position) == (None, len(events), len(events))
