"""A record that cannot be read is one damaged event of its stream; all other events are read."""

from pathlib import Path

import lmdb
import pytest
import trio

from fleet.events.envelope import Cause, Damaged
from fleet.events.lmdb_keys import position_key
from fleet.events.lmdb_log import LmdbLog
from fleet.events.verify import verify
from tests.events.samples import Counted, sample_registry
from tests.fakes.clock import FakeClock


@pytest.mark.parametrize("record", [b"", b"\0\0\0\x05short", b"\0\0\0\x02\xc1\xc1" + bytes(40)])
async def test_record_without_a_readable_header_is_a_damaged_event_of_its_stream(tmp_path: Path, record: bytes) -> None:
    with LmdbLog.open(tmp_path, sample_registry(), FakeClock()) as log:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            for version in range(3):
                await log.append("a", version, [Counted(version)], Cause())
                await log.append("b", version, [Counted(version)], Cause())
            log.stop()
    environment = lmdb.open(str(tmp_path / "events.mdb"), subdir=False, lock=False, max_dbs=16)
    records = environment.open_db(b"records")
    with environment.begin(write=True) as transaction:
        transaction.put(position_key(3), record, db=records)
    environment.close()
    with LmdbLog.open(tmp_path, sample_registry(), FakeClock()) as log:
        for events in (log.read_all(), log.read_stream("a"), log.read_events([3])):
            (damaged,) = [each for each in events if isinstance(each.event, Damaged)]
            assert (damaged.position, damaged.stream, damaged.version) == (3, "a", 2)
        assert [event for _, _, event in log.replay("b")] == [Counted(0), Counted(1), Counted(2)]
        assert [type(event) for _, _, event in log.replay("a")] == [Counted, Damaged, Counted]
        found = verify(log).first_break
        assert found is not None
        assert found.position == 3
