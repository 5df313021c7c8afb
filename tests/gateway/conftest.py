"""A machine for each test, and a Fleet on it.

The tests of this directory run on virtual time, but for those that say otherwise by `@pytest.mark.trio(run=trio.run)`:
what the kernel takes its time for, such as large bodies, virtual time does not wait for.
"""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import trio
from trio.abc import Clock, Instrument
from trio.testing import MockClock

from tests.fakes.opencode import FakeOpenCodeWorld
from tests.gateway.machine import Api, Machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    on_virtual_time(items, Path(__file__).parent)


def on_virtual_time(items: list[pytest.Item], directory: Path) -> None:
    """Run the tests of the directory on virtual time: pytest-trio takes a clock from a test's own parameters alone."""
    for item in items:
        chosen = any("run" in marker.kwargs for marker in item.iter_markers("trio"))
        waits = isinstance(item, pytest.Function) and inspect.iscoroutinefunction(cast("object", item.function))
        if directory in item.path.parents and waits and not chosen:
            item.add_marker(pytest.mark.trio(run=_run), append=False)


def _run(main: Callable[[], Awaitable[Any]], *, clock: Clock | None, instruments: Sequence[Instrument]) -> Any:
    return trio.run(main, clock=clock or MockClock(autojump_threshold=0), instruments=instruments)


@pytest.fixture
async def machine() -> AsyncGenerator[Machine]:
    async with trio.open_nursery() as nursery:
        yield Machine(FakeOpenCodeWorld(nursery, lost_idle_chance=0, swallowed_term_chance=0))
        nursery.cancel_scope.cancel()


@pytest.fixture
async def api(machine: Machine) -> AsyncGenerator[Api]:
    async with machine.fleet() as api:
        yield api
