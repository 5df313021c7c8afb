"""The rehearsal model beside a server: the same port in every run, unless another program has it."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio

from fleet.rehearsal.offer import Offer, OfferOnDemand


async def _served_at(port_file: Path) -> int:
    """Serve for a moment, and return the port."""
    offer, stopping = Offer(port_file), trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(offer.run, stopping)
        stopping.set()
    return int(port_file.read_text())


async def test_next_run_serves_at_the_port_of_the_last(tmp_path: Path) -> None:
    first = await _served_at(tmp_path / "port")
    assert await _served_at(tmp_path / "port") == first


async def test_port_that_another_program_has_taken_is_left_to_it(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        (tmp_path / "port").write_text(str(taken))
        assert await _served_at(tmp_path / "port") != taken


async def test_port_that_another_program_has_only_bound_is_left_to_it(tmp_path: Path) -> None:
    """A program that binds without listening makes the port look free to a probe."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        (tmp_path / "port").write_text(str(taken))
        assert await _served_at(tmp_path / "port") != taken


class SlowOffer(Offer):
    def __init__(self, port_file: Path) -> None:
        super().__init__(port_file)
        self.begun, self.may_start = trio.Event(), trio.Event()

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        self.begun.set()
        await self.may_start.wait()
        await super().run(stopping, task_status=task_status)


async def test_model_is_offered_after_an_offer_that_was_cancelled_and_can_be_ended(tmp_path: Path) -> None:
    """The server cancels the call of a host that becomes silent, and repeats it."""
    given: list[Mapping[str, Any]] = []
    slow = SlowOffer(tmp_path / "port")
    async with trio.open_nursery() as nursery:
        on_demand = OfferOnDemand(slow, given.append, nursery)
        async with trio.open_nursery() as calls:
            calls.start_soon(on_demand.offer, True)
            await slow.begun.wait()
            calls.cancel_scope.cancel()
        assert given == []
        slow.may_start.set()
        await on_demand.offer(True)
        await on_demand.offer(True)
        port = int((tmp_path / "port").read_text())
        assert [f"http://127.0.0.1:{port}/v1" in str(each) for each in given] == [True, True]
        await on_demand.offer(False)
        assert given[2:] == [{}]
