"""A record that cannot be read, or was changed, is one damaged event of its stream; all other events are read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import pytest
import trio

from fleet.events import codec
from fleet.events.compression import compress
from fleet.events.envelope import Cause, Damaged
from fleet.events.export import export_page
from fleet.events.lmdb_keys import position_key, stream_prefix
from fleet.events.lmdb_log import LmdbLog
from fleet.events.verify import verify
from tests.events.samples import Counted, sample_registry
from tests.fakes.clock import FakeClock


async def write_two_streams(path: Path, event: Callable[[int], Any] = Counted) -> None:
    with LmdbLog.open(path, sample_registry(), FakeClock()) as log:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            for version in range(3):
                await log.append("a", version, [event(version)], Cause())
                await log.append("b", version, [event(version)], Cause())
            log.stop()


def put(path: Path, table: bytes, key: bytes, value: bytes | None) -> None:
    environment = lmdb.open(str(path / "events.mdb"), subdir=False, lock=False, max_dbs=16)
    opened = environment.open_db(table)
    with environment.begin(write=True) as transaction:
        if value is None:
            transaction.delete(key, db=opened)
        else:
            transaction.put(key, value, db=opened)
    environment.close()


@pytest.mark.parametrize("record", [b"", b"\0\0\0\x05short", b"\0\0\0\x02\xc1\xc1" + bytes(40)])
async def test_record_without_a_readable_header_is_a_damaged_event_of_its_stream(tmp_path: Path, record: bytes) -> None:
    await write_two_streams(tmp_path)
    put(tmp_path, b"records", position_key(3), record)
    with LmdbLog.open(tmp_path, sample_registry(), FakeClock()) as log:
        for events in (log.read_all(), log.read_stream("a"), log.read_events([3])):
            (damaged,) = [each for each in events if isinstance(each.event, Damaged)]
            assert (damaged.position, damaged.stream, damaged.version) == (3, "a", 2)
        assert [event for _, _, event in log.replay("b")] == [Counted(0), Counted(1), Counted(2)]
        assert [type(event) for _, _, event in log.replay("a")] == [Counted, Damaged, Counted]
        found = verify(log).first_break
        assert found is not None
        assert found.position == 3


def noted(version: int) -> Counted:
    return Counted(version, "a long note " * 50)


@pytest.mark.parametrize(("event", "compressed"), [(Counted, False), (noted, True)])
async def test_changed_payload_is_a_damaged_event_before_anyone_verifies(
    tmp_path: Path, event: Callable[[int], Any], *, compressed: bool
) -> None:
    await write_two_streams(tmp_path, event)
    with LmdbLog.open(tmp_path, sample_registry(), FakeClock()) as log:
        raw = log.read_record(3) or b""
    record = codec.decode(raw)
    forged = record.payload.replace(b"1", b"7")
    assert (forged != record.payload, compress(record.payload) is not None) == (True, compressed)
    put(tmp_path, b"records", position_key(3), codec.join(codec.header_bytes(raw), record.salt, forged))
    with LmdbLog.open(tmp_path, sample_registry(), FakeClock()) as log:
        for events in (log.read_all(), log.read_stream("a"), log.read_events([3])):
            (damaged,) = [each for each in events if isinstance(each.event, Damaged)]
            assert (damaged.position, damaged.stream, damaged.version) == (3, "a", 2)
            assert damaged.event.reason == codec.CHANGED
            assert b"7" not in damaged.payload
        assert [event for _, _, event in log.replay("a")] == [event(0), Damaged(codec.CHANGED), event(2)]
        assert [event for _, _, event in log.replay("b")] == [event(0), event(1), event(2)]
        with pytest.raises(codec.CorruptRecord, match="was changed"):
            export_page(log, 0, 6)


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        (stream_prefix("a") + position_key(4), 3, [Counted, Counted, Damaged, Damaged]),  # an event of b
        (stream_prefix("a") + position_key(7), 4, [Counted, Counted, Counted, Damaged]),  # no event
        (stream_prefix("a") + position_key(3), None, [Counted, Damaged]),
    ],
)
async def test_index_that_leads_to_another_event_damages_its_stream_alone(
    tmp_path: Path, key: bytes, value: int | None, found: list[type[Any]]
) -> None:
    await write_two_streams(tmp_path)
    put(tmp_path, b"index", key, None if value is None else value.to_bytes(8, "big"))
    with LmdbLog.open(tmp_path, sample_registry(), FakeClock()) as log:
        assert [type(event) for _, _, event in log.replay("a")] == found
        assert {each.stream for each in log.read_stream("a")} == {"a"}
        assert [event for _, _, event in log.replay("b")] == [Counted(0), Counted(1), Counted(2)]
        assert verify(log).first_break is not None
