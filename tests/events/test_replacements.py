"""A payload is replaced only by an order: a later event of its session that holds the new one."""

from collections.abc import Callable

import pytest

from fleet.events import codec
from fleet.events.envelope import Cause, Damaged
from fleet.events.export import export_page, verify_export
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


@pytest.mark.parametrize(
    ("tamper", "position"),
    [
        (replaced(1, b'{"title":"forged"}'), 1),
        (replaced(2, NEW), 2),
        (replaced(4, NEW), 4),
        (replaced(3, b'{"replaced":[{"position":1,"payload":{"title":"new"}}]}'), 1),
        (flagged, 2),
        (without_order, 1),
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
