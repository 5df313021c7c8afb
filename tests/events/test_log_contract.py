"""The contract suite against each log."""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.log_contract import APPENDS, LogContract, Openings, check_interleaving
from tests.events.samples import open_lmdb, sample_registry
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog


def memory_opening() -> Openings:
    disk = MemoryDisk()

    @asynccontextmanager
    async def opening() -> AsyncGenerator[MemoryLog, None]:
        yield MemoryLog(disk, sample_registry(), FakeClock())

    return opening


class TestLmdbLog(LogContract):
    @pytest.fixture
    def opening(self, tmp_path: Path) -> Openings:
        return lambda: open_lmdb(tmp_path)


class TestMemoryLog(LogContract):
    @pytest.fixture
    def opening(self) -> Openings:
        return memory_opening()


@settings(max_examples=25)
@given(APPENDS, st.integers(1, 8))
def test_interleaved_appends_on_disk_leave_no_gap(appends: list[tuple[int, int]], tasks: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        trio.run(check_interleaving, lambda: open_lmdb(Path(directory)), appends, tasks)


@settings(max_examples=25)
@given(APPENDS, st.integers(1, 8))
def test_interleaved_appends_in_memory_leave_no_gap(appends: list[tuple[int, int]], tasks: int) -> None:
    trio.run(check_interleaving, memory_opening(), appends, tasks)
