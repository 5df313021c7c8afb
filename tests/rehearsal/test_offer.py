"""The rehearsal model beside a server: the same port in every run, unless another program has it."""

import socket
from pathlib import Path

import trio

from fleet.rehearsal.offer import Offer


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
