"""A payload is replaced only by an order: a later event of its session that holds the new one."""

from collections.abc import Callable

import pytest

from fleet.events import codec
from fleet.events.envelope import Cause, Damaged
from fleet.events.export import export_page, read_record, verify_export
from fleet.events.replacements import REPLACING, ordered_in, proof_in
from fleet.events.verify import verify, verifying
from tests.events.samples import Opened, reworded, sample_registry
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog

NEW = b'{"title":"new"}'


async def written() -> tuple[MemoryDisk, MemoryLog]:
    """Events 1 and 2 of a session, the order to replace the first, and an event after it."""
    disk = MemoryDisk()
    log = MemoryLog(disk, sample_registry(), FakeClock())
    await log.append("session-a", 0, [Opened("old"), Opened("old")], Cause())
    await log.append("session-a", 2, [reworded((1, NEW))], Cause())
    await log.append("session-b", 0, [Opened("b")], Cause())
    return disk, log


def replaced(position: int, payload: bytes) -> Callable[[MemoryDisk], None]:
    def change(disk: MemoryDisk) -> None:
        disk.records[position - 1] = codec.replace_payload(disk.records[position - 1], 3, payload)

    return change


def flagged(disk: MemoryDisk) -> None:
    disk.records[1] = bytes([disk.records[1][0] | 1 << 6]) + disk.records[1][1:]


def without_order(disk: MemoryDisk) -> None:
    disk.records[2] = codec.erase(disk.records[2])


def with_salt(disk: MemoryDisk) -> None:
    """Event 2 has its own payload, which has the digest of the header, and claims to be replaced."""
    record = codec.decode(disk.records[1])
    disk.records[1] = codec.replace_payload(disk.records[1], 3, record.salt + record.payload)


def without_position(disk: MemoryDisk) -> None:
    record = codec.decode(disk.records[1])
    disk.records[1] = codec.replace_payload(disk.records[1], 0, record.salt + record.payload)


@pytest.mark.parametrize(
    ("tamper", "position"),
    [
        (replaced(1, b'{"title":"forged"}'), 1),
        (replaced(2, NEW), 2),
        (replaced(4, NEW), 4),
        (replaced(3, b'{"replaced":[{"position":1,"payload":{"title":"new"}}]}'), 1),
        (flagged, 2),
        (without_order, 1),
        (with_salt, 2),
        (without_position, 2),
    ],
)
async def test_payload_that_is_replaced_without_an_order_is_found(
    tamper: Callable[[MemoryDisk], None], position: int
) -> None:
    disk, log = await written()
    tamper(disk)
    found = verify(log).first_break
    assert found is not None
    assert found.position == position
    with pytest.raises(codec.CorruptRecord):
        export_page(log, 0, 4)
    assert isinstance(log.read_all()[position - 1].event, Damaged)


async def test_order_at_the_position_of_another_event_orders_nothing() -> None:
    disk, log = await written()
    disk.records[3] = disk.records[2]
    disk.records[0] = codec.replace_payload(disk.records[0], 4, NEW)
    assert isinstance(log.read_all(0, 1)[0].event, Damaged)


async def test_payload_that_was_put_back_is_found() -> None:
    """The payload from before has the digest of the header; so has the one of an earlier order."""
    disk = MemoryDisk()
    log = MemoryLog(disk, sample_registry(), FakeClock())
    await log.append("session-a", 0, [Opened("old")], Cause())
    first = disk.records[0]
    await log.append("session-a", 1, [reworded((1, NEW))], Cause())
    second = disk.records[0]
    await log.append("session-a", 2, [reworded((1, b'{"title":"newest"}'))], Cause())
    assert verify(log).first_break is None
    for record in (first, second):
        disk.records[0] = record
        found = verify(log).first_break
        assert found is not None
        assert (found.position, "event 3 replaced its payload" in found.reason) == (1, record is second)


def chained(length: int, payload: Callable[[int, bytes], bytes]) -> list[bytes]:
    """Return the records of a session, each replaced by the next one; `payload` is made from that of the one before."""
    records: list[bytes] = []
    new, digest = NEW, codec.GENESIS_DIGEST
    for position in range(1, length + 1):
        kind = "sample.opened" if position == 1 else REPLACING
        of = codec.digest_payload(bytes(16), new)
        head = (kind, 1, position, "session-a", position, 0, "system", None, None, None, b"", of, digest)
        record, digest = codec.encode(codec.Header(*head), bytes(16), new)
        records.append(record if position == length else codec.replace_payload(record, position + 1, new))
        new = payload(position, new)
    return records


def order_of(position: int, new: bytes) -> bytes:
    return b'{"replaced":[{"position":%d,"payload":%b}]}' % (position, new)


def test_each_order_of_a_chain_is_read_once() -> None:
    records, read = chained(200, order_of), list[int]()

    def recorded(position: int) -> bytes:
        read.append(position)
        return records[position - 1]

    prove = proof_in(recorded)
    for record in records:
        prove(codec.decode(record))
    assert read == list(range(2, 201))


def test_forged_chain_of_thousands_of_orders_is_a_damaged_record() -> None:
    records = chained(5000, lambda position, _: order_of(position, b"{}"))
    with pytest.raises(codec.CorruptRecord, match="another one than is ordered at position 2"):
        proof_in(lambda position: records[position - 1])(codec.decode(records[0]))
    with pytest.raises(codec.CorruptRecord, match="another one than is ordered at position 4"):
        proof_in(lambda position: records[position - 1])(codec.decode(records[2]))


def test_order_that_is_nested_too_deeply_is_damaged() -> None:
    payload = b'{"replaced":[{"position":1,"payload":' * 5000 + b"{}" + b"}]}" * 5000
    with pytest.raises(codec.CorruptRecord, match="cannot be read"):
        ordered_in(payload)


async def test_export_names_only_a_later_position_as_order() -> None:
    _, log = await written()
    lines = export_page(log, 0, 4)[0].splitlines(keepends=True)
    for forged in (b"-3", b"1", b"18446744073709551616"):
        changed = lines[0].replace(b'"replaced":3', b'"replaced":' + forged)
        assert verify_export([changed, *lines[1:]]).first_break is not None
        with pytest.raises(codec.CorruptRecord):
            read_record(changed)


async def test_part_of_a_log_is_proved_by_an_order_behind_it() -> None:
    _, log = await written()
    walk = verifying(log, 2)
    with pytest.raises(StopIteration) as end:
        next(walk)
    assert end.value.value.first_break is None


async def test_export_has_the_new_payload_and_is_proved_up_to_its_order() -> None:
    _, log = await written()
    lines = export_page(log, 0, 4)[0].splitlines(keepends=True)
    assert (verify_export(lines).first_break, verify_export(lines[1:]).first_break) == (None, None)
    cut = verify_export(lines[:2]).first_break
    assert cut is not None
    assert "up to its end" in cut.reason
    changed = verify_export([line.replace(b'"new"', b'"old"', 1) for line in lines]).first_break
    assert changed is not None
