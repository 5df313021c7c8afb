"""Commands say that the server is away, and continue by themselves when it is back."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from tests.cli.terminal import PROGRAM, environment, fleet
from tests.client.line import Line
from tests.gateway.machine import PLAIN


class Running:
    """A command that runs, and what it has said."""

    def __init__(self) -> None:
        self.out = ""
        self.err = ""

    async def until(self, seen: Callable[[], bool]) -> None:
        with trio.fail_after(200):  # of the test's clock, which runs fast
            while not seen():  # noqa: ASYNC110 - it has no event to wait for
                await trio.sleep(0.1)


@asynccontextmanager
async def running(line: Line, *command: str) -> AsyncGenerator[Running]:
    """Run a command with pipes, until the block ends."""
    process = await trio.lowlevel.open_process(
        [*PROGRAM, *command],
        env=environment(line, PYTHONUNBUFFERED="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    run = Running()

    async def listen(stream: trio.abc.ReceiveStream, name: str) -> None:
        async for chunk in stream:
            setattr(run, name, getattr(run, name) + bytes(chunk).decode())

    async with trio.open_nursery() as nursery:
        assert process.stdout is not None
        assert process.stderr is not None
        nursery.start_soon(listen, process.stdout, "out")
        nursery.start_soon(listen, process.stderr, "err")
        try:
            yield run
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


AWAY = r"fleet: waiting for the server: there is no response from \S+ .*\.\n"


@pytest.mark.parametrize("more", [[], ["--json"]])
async def test_tail_says_that_the_server_is_away_and_that_it_is_back(line: Line, more: list[str]) -> None:
    session_id = (await fleet(line, "new", PLAIN, "--prompt", "First")).out.strip()
    await line.api.settled(session_id)
    async with running(line, "tail", session_id, "--after", "0", *more) as tail:
        await tail.until(lambda: "First" in tail.out)
        await line.stop()
        await tail.until(lambda: "waiting" in tail.err)
        await line.start()
        await tail.until(lambda: "again" in tail.err)
        await line.api.send("POST", f"/api/sessions/{session_id}/resume")
        await line.api.prompt(session_id, "Second")
        await tail.until(lambda: "Second" in tail.out)
    assert re.fullmatch(AWAY + r"fleet: the server responds again\.\n", tail.err)


async def test_wait_option_says_that_the_server_is_away(line: Line) -> None:
    session_id = (await fleet(line, "new", PLAIN)).out.strip()
    async with running(line, "prompt", session_id, "hang", "--wait") as wait:
        await wait.until(lambda: "turn 1" in wait.out)
        await line.unplug(20)
        await wait.until(lambda: "again" in wait.err)
    assert re.fullmatch(AWAY + r"fleet: the server responds again\.\n", wait.err)


async def test_the_header_of_top_says_that_the_server_is_away(line: Line) -> None:
    await fleet(line, "new", PLAIN, "--title", "Seen")
    ours, theirs = pty.openpty()
    around = environment(line, TERM="xterm-256color", COLUMNS="100", LINES="24")
    process = await trio.lowlevel.open_process(
        [sys.executable, *PROGRAM[1:], "top", "-i", "0.2"], env=around, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    top = Running()

    def read() -> None:
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # its other end is closed
                return
            top.out += chunk.decode(errors="replace")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, read)
        try:
            await top.until(lambda: "Seen" in top.out)
            assert "waiting for the server" not in top.out
            nursery.start_soon(line.unplug, 20)
            await top.until(lambda: "Seen" in top.out.partition("waiting for the server")[2])
            await trio.sleep(30)
            top.out = ""
            await top.until(lambda: top.out.count("Seen") > 1)
            assert "waiting for the server" not in top.out
        finally:
            process.kill()  # or the thread reads on
            with trio.CancelScope(shield=True):
                await process.wait()
    os.close(ours)
