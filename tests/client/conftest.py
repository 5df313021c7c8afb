"""A Fleet on fakes behind a real port, and a line to it that can be cut.

The clock of these tests runs faster than the real one, and without jumps: threads take part, and sockets.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
from trio.abc import Clock, Instrument
from trio.testing import MockClock

from fleet.client import FleetClient
from tests.client.line import Line
from tests.fakes.opencode import FakeOpenCodeWorld
from tests.gateway.machine import Machine

RATE = 5.0  # faster, and deadlines of the fakes pass while a loaded machine is still busy


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    on_fast_clock(items, Path(__file__).parent)


def on_fast_clock(items: list[pytest.Item], directory: Path) -> None:
    """Give the asynchronous tests of the directory a clock that runs fast."""
    for item in items:
        if directory in item.path.parents and iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.trio(run=_run), append=False)


def _run(main: Callable[[], Awaitable[Any]], *, clock: Clock | None, instruments: Sequence[Instrument]) -> Any:
    return trio.run(main, clock=clock or MockClock(rate=RATE), instruments=instruments)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Say nothing on stdout, where the examples and the commands of these tests print: the server shares it here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture
async def machine() -> AsyncGenerator[Machine]:
    async with trio.open_nursery() as nursery:
        yield Machine(FakeOpenCodeWorld(nursery, lost_idle_chance=0, swallowed_term_chance=0))
        nursery.cancel_scope.cancel()


@pytest.fixture
async def line(machine: Machine) -> AsyncGenerator[Line]:
    """A line to a Fleet that runs."""
    async with Line.laid(machine) as line:
        await line.start()
        yield line


@pytest.fixture
async def fleet(line: Line) -> AsyncGenerator[FleetClient]:
    async with FleetClient(line.url, retry_for_s=20) as client:
        yield client
