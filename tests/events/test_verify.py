"""Verification finds every change in a log."""

from collections.abc import Callable

import msgspec
import pytest

from fleet.events import codec
from fleet.events.envelope import Cause, StateSnapshot
from fleet.events.verify import Break, verify
from tests.events.samples import Counted, Gone, sample_registry
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog


async def written() -> tuple[MemoryDisk, MemoryLog]:
    disk = MemoryDisk()
    log = MemoryLog(disk, sample_registry(), FakeClock())
    for n in range(4):
        await log.append("ab"[n % 2], n // 2, [Counted(n)], Cause("local"))
    return disk, log


def remade(record: bytes, salt: bytes | None = None, payload: bytes | None = None, **changes: object) -> bytes:
    """A record changed by a person who keeps it well-formed."""
    old = codec.decode(record)
    header = msgspec.structs.replace(old.header, **changes)
    return codec.encode(header, salt or old.salt, payload or old.payload)[0]


CHANGES: list[tuple[Callable[[bytes], bytes], int, str]] = [
    (lambda record: remade(record, payload=b'{"amount":100}'), 2, "payload"),
    (lambda record: remade(record, salt=bytes(16)), 2, "payload"),
    (lambda record: remade(record, actor="somebody"), 3, "record before"),
    (lambda record: remade(record, recorded_at_ms=0), 3, "record before"),
    (lambda record: remade(record, position=7), 2, "position 7"),
    (lambda record: remade(record, version=2), 2, "should be at version 1"),
    (lambda record: remade(record, stream="a"), 2, "should be at version 2"),
    (lambda record: remade(record, stream="c"), 2, "index"),
    (lambda record: record[:-30], 2, ""),
    (lambda record: b"\0\0\0\5hello" + bytes(16), 2, "header cannot be read"),
    (lambda record: b"", 2, "shorter than its header says"),
]


@pytest.mark.parametrize(("change", "position", "reason"), CHANGES)
async def test_a_changed_record_is_found(change: Callable[[bytes], bytes], position: int, reason: str) -> None:
    disk, log = await written()
    assert verify(log).first_break is None
    disk.records[1] = change(disk.records[1])
    found = verify(log)
    assert found.first_break is not None
    assert found.first_break.position == position
    assert reason in found.first_break.reason
    assert found.events == position - 1


async def test_a_removed_record_is_found() -> None:
    disk, log = await written()
    del disk.records[1]
    assert verify(log).first_break == Break(2, "the record holds position 3")


async def test_log_that_ends_before_its_head_is_found() -> None:
    disk, log = await written()
    del disk.records[3]
    assert verify(log).first_break == Break(4, "missing: the log's head is at 4")


async def test_a_snapshot_that_is_ahead_of_the_log_is_found() -> None:
    disk, log = await written()
    disk.snapshots["b"] = StateSnapshot(3, 5, "1", b"")
    assert verify(log).first_break == Break(2, "the snapshot of b is ahead of the log")


async def test_chain_can_be_verified_after_an_erasure() -> None:
    disk, log = await written()
    before = codec.decode(disk.records[0])
    await log.append("a", 2, [Gone()], Cause("local"))
    await log.erase("a")
    assert codec.decode(disk.records[0]).digest == before.digest
    found = verify(log)
    assert (found.events, found.erased, found.first_break) == (5, 3, None)


@pytest.mark.parametrize("rest", [b"", b"erase", b"Erased", b"erased?", bytes(16)])
async def test_a_payload_that_is_missing_without_the_mark_is_a_break(rest: bytes) -> None:
    disk, log = await written()
    disk.records[1] = codec.erase(disk.records[1]).removesuffix(b"erased") + rest
    found = verify(log).first_break
    assert found is not None
    assert found.position == 2


async def test_a_snapshot_of_an_erased_stream_is_found() -> None:
    disk, log = await written()
    await log.erase("b")
    assert verify(log).erased == 2
    disk.snapshots["b"] = StateSnapshot(1, 2, "1", b"")
    assert verify(log).first_break == Break(2, "b was erased, but its snapshot is still there")


async def test_the_same_payload_has_another_digest_each_time() -> None:
    disk, log = await written()
    await log.append("c", 0, [Counted(0), Counted(0)], Cause())
    headers = [codec.decode(record).header for record in disk.records[-2:]]
    assert headers[0].payload_digest != headers[1].payload_digest
