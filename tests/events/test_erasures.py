"""A record may be erased only by an order: the last event of its stream. Verification lists who gave it."""

from collections.abc import Sequence

import msgspec
import pytest

from fleet.events import codec
from fleet.events.envelope import Cause
from fleet.events.erasures import ErasedStream, Erasures
from fleet.events.verify import VerificationResult, verify
from tests.events.samples import Counted, Gone, sample_registry
from tests.fakes.clock import EPOCH_MS, FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog


class Ended(msgspec.Struct, frozen=True):
    """Orders the erasure of a session and of the stored responses about it."""


async def verified(types: str, erased: Sequence[int]) -> VerificationResult:
    """Verify a log of stream `a`: `c` is an event, `e` the order, `b` an event of another stream; positions erased."""
    disk = MemoryDisk()
    log = MemoryLog(disk, sample_registry(), FakeClock())
    for kind in types:
        stream = "b" if kind == "b" else "a"
        await log.append(stream, log.stream_version(stream), [Gone() if kind == "e" else Counted(1)], Cause("local"))
    for position in erased:
        disk.records[position - 1] = codec.erase(disk.records[position - 1])
    return verify(log)


@pytest.mark.parametrize(
    ("types", "erased", "position", "reason"),
    [
        ("cbc", [1], 1, "a does not end with a.erased"),
        ("cbc", [2], 2, "b does not end with b.erased"),
        ("cbc", [1, 3], 1, "a does not end with a.erased"),
        ("cec", [1, 2], 1, "a does not end with a.erased"),
        ("cbce", [3], 3, "an earlier event of its stream is not"),
        ("ccbe", [1, 4], 4, "an earlier event of its stream is not"),
        ("cbce", [1, 2, 3, 4], 2, "b does not end with b.erased"),
    ],
)
async def test_an_event_that_is_erased_without_an_order_is_found(
    types: str, erased: list[int], position: int, reason: str
) -> None:
    found = (await verified(types, erased)).first_break
    assert found is not None
    assert found.position == position
    assert reason in found.reason


@pytest.mark.parametrize("erased", [[1, 3, 4], [1, 3], [1]])
async def test_erasure_that_is_ordered_is_listed_even_if_a_crash_interrupted_it(erased: list[int]) -> None:
    report = await verified("cbce", erased)
    assert report.first_break is None
    (found,) = report.erasures
    assert found == ErasedStream("a", 4, "local", found.at_ms, 3, len(erased))
    assert found.at_ms >= EPOCH_MS


async def test_an_order_that_was_not_begun_is_no_erasure() -> None:
    report = await verified("cbce", [])
    assert (report.first_break, report.erasures) == (None, ())


async def test_an_erasure_during_the_walk_is_looked_up_once_and_not_for_each_event() -> None:
    disk = MemoryDisk()
    log = MemoryLog(disk, sample_registry(), FakeClock())
    await log.append("a", 0, [Counted(1)] * 5, Cause("local"))
    headers = [codec.decode_header(record) for record in disk.records]
    looked_up: list[int] = []

    def erased_before(header: codec.Header) -> bool:
        looked_up.append(header.position)
        return True

    erasures = Erasures(erased_before)
    for header in headers:
        erasures.add(header, erased=header.position > 2)
    assert looked_up == [3]


async def test_stored_responses_that_an_erased_session_still_has_are_listed() -> None:
    disk = MemoryDisk()
    log = MemoryLog(disk, sample_registry(), FakeClock())
    for stream in ("session-s", "answer-s", "session-s", "answer-s"):
        await log.append(stream, log.stream_version(stream), [Counted(1)], Cause("local"))
    registry = sample_registry()
    registry.register(Ended, "session.erased")
    await MemoryLog(disk, registry, FakeClock()).append("session-s", 2, [Ended()], Cause("local"))
    for position in (1, 3):
        disk.records[position - 1] = codec.erase(disk.records[position - 1])
    report = verify(MemoryLog(disk, registry, FakeClock()))
    assert report.first_break is None
    assert [(each.stream, each.position, each.events, each.erased) for each in report.erasures] == [
        ("session-s", 5, 3, 2),
        ("answer-s", 5, 2, 0),
    ]
