"""The faults of the log in memory, which simulations rely on."""

from random import Random

import pytest
import trio
from trio.testing import MockClock

from fleet.errors import Unavailable
from fleet.events.envelope import Cause, StateSnapshot
from tests.events.samples import Counted, sample_registry
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog

CAUSE = Cause()


def opened(disk: MemoryDisk, seed: int | None = None) -> MemoryLog:
    if seed is None:
        return MemoryLog(disk, sample_registry(), FakeClock())
    return MemoryLog(disk, sample_registry(), FakeClock(), salts=Random(seed).randbytes)


async def test_appends_continue_after_a_full_disk() -> None:
    disk = MemoryDisk()
    log = opened(disk)
    disk.full = True
    with pytest.raises(Unavailable) as full:
        await log.append("a", 0, [Counted(1)], CAUSE)
    assert full.value.code == "disk_full"
    assert log.head() == 0
    disk.full = False
    await log.append("a", 0, [Counted(1)], CAUSE)


@pytest.mark.parametrize(("checkpoints", "durable"), [(0, False), (1, True)])
async def test_a_cancelled_append_leaves_either_outcome(checkpoints: int, durable: bool) -> None:
    log = opened(MemoryDisk())
    with trio.CancelScope() as scope:
        if checkpoints:
            log.listen(lambda _: scope.cancel())
        else:
            scope.cancel()
        await log.append("a", 0, [Counted(1)], CAUSE)
    assert scope.cancelled_caught
    assert log.head() == int(durable)


async def test_crash_keeps_only_the_disk() -> None:
    disk = MemoryDisk()
    log = opened(disk)
    await log.append("a", 0, [Counted(1)], CAUSE, command_id="c")
    log.save_snapshot("a", StateSnapshot(1, 1, "1", b"lost"))
    log.crash()
    with pytest.raises(Unavailable):
        await log.append("a", 1, [Counted(2)], CAUSE)
    after = opened(disk)
    assert (after.head(), after.stream_version("a"), after.load_snapshot("a")) == (1, 1, None)
    assert after.find_command("c") is not None


async def test_equal_salts_make_equal_bytes(autojump_clock: MockClock) -> None:
    disks = [MemoryDisk(), MemoryDisk()]
    for disk in disks:
        await opened(disk, seed=7).append("a", 0, [Counted(1), Counted(2)], CAUSE)
    assert disks[0].records == disks[1].records
