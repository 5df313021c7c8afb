"""The erasure contract against each log, and what a kill in the middle leaves."""

import subprocess
import sys
from pathlib import Path

import pytest

from fleet.errors import Unavailable
from fleet.events.envelope import Cause, Erased
from fleet.events.verify import verify
from fleet.limits import DISK_FREE_BYTES_MIN, ERASE_PAGE_EVENTS
from tests.contracts.erasure_contract import SECRET, ErasureContract
from tests.contracts.log_contract import Openings
from tests.events.samples import Counted, Gone, open_lmdb, sample_registry
from tests.events.test_log_contract import memory_opening
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog

CAUSE = Cause()


class TestLmdbErasure(ErasureContract):
    @pytest.fixture
    def opening(self, tmp_path: Path) -> Openings:
        return lambda: open_lmdb(tmp_path)


class TestMemoryErasure(ErasureContract):
    @pytest.fixture
    def opening(self) -> Openings:
        return memory_opening()


def kill_while_erasing(path: Path, stream: str, pages: int) -> None:
    """Kill the process when it has told of so many pages."""
    command = [sys.executable, "-m", "tests.events.erasing_process", str(path), stream]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(pages):
        process.stdout.readline()
    process.kill()
    process.communicate()


async def test_repeated_erasure_finishes_after_a_kill(tmp_path: Path) -> None:
    events = 20 * ERASE_PAGE_EVENTS
    async with open_lmdb(tmp_path) as log:
        await log.append("a", 0, [*(Counted(n, SECRET) for n in range(events - 1)), Gone()], CAUSE)
    for pages in (1, 4, 9):
        kill_while_erasing(tmp_path, "a", pages)
        async with open_lmdb(tmp_path) as log:
            report = verify(log)
            assert (report.events, report.first_break) == (events, None)
            assert report.erased >= pages * ERASE_PAGE_EVENTS
            assert report.erased % ERASE_PAGE_EVENTS == 0
            found: list[type[object]] = [type(event) for _, _, event in log.replay("a")]
            assert found == [Erased] * report.erased + [Counted] * (events - report.erased - 1) + [Gone]
            assert log.is_erased("a")
    async with open_lmdb(tmp_path) as log:
        await log.erase("a")
        assert verify(log).erased == events


async def test_erasure_works_on_a_full_disk(tmp_path: Path) -> None:
    free_bytes = 10 * DISK_FREE_BYTES_MIN
    async with open_lmdb(tmp_path, lambda: free_bytes) as log:
        await log.append("a", 0, [Counted(1, SECRET)], CAUSE)
        free_bytes = 1
        with pytest.raises(Unavailable):
            await log.append("a", 1, [Counted(1)], CAUSE)
        await log.erase("a")
        assert log.is_erased("a")


async def test_crash_leaves_each_page_erased_or_unchanged() -> None:
    disk = MemoryDisk()
    log = MemoryLog(disk, sample_registry(), FakeClock())
    await log.append("a", 0, [Counted(1)], CAUSE, command_id="c", command_digest=b"d")
    log.crash()
    with pytest.raises(Unavailable):
        await log.erase("a")
    after = MemoryLog(disk, sample_registry(), FakeClock())
    assert not after.is_erased("a")
    await after.erase("a")
    assert MemoryLog(disk, sample_registry(), FakeClock()).is_erased("a")
