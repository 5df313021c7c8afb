"""The sync client when Ctrl-C interrupts a script."""

import subprocess
import sys

import trio

from tests.client.line import Line
from tests.gateway.machine import PLAIN

SCRIPT = """
import os, signal, sys, threading
from fleet.client import sync_client

with sync_client(sys.argv[1]) as fleet:
    session = fleet.create(sys.argv[2], prompt="turn:36000")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs tests in the background ignores it
    interrupt = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    try:
        interrupt.start()
        {wait}
    except KeyboardInterrupt:
        print("interrupted")
"""

INTERRUPTED_START = """
import sys
from anyio.from_thread import BlockingPortal
from fleet.client import sync_client

start = BlockingPortal.start_task_soon

def interrupted(portal, work):
    start(portal, work)
    raise KeyboardInterrupt

with sync_client(sys.argv[1]) as fleet:
    session = fleet.create(sys.argv[2], prompt="turn:36000")
    BlockingPortal.start_task_soon = interrupted
    try:
        session.events().__enter__()
    except KeyboardInterrupt:
        BlockingPortal.start_task_soon = start
        print("interrupted")
"""


async def interrupted(line: Line, wait: str) -> "subprocess.CompletedProcess[bytes]":
    """Interrupt a script that waits for a turn of many hours."""
    return await run(line, SCRIPT.format(wait=wait))


async def run(line: Line, script: str) -> "subprocess.CompletedProcess[bytes]":
    program = [sys.executable, "-X", "dev", "-W", "error", "-c", script, line.url, PLAIN]
    # In a thread, with a deadline of its own: the tests' clock runs fast, and a real process knows nothing of it.
    return await trio.to_thread.run_sync(lambda: subprocess.run(program, capture_output=True, timeout=300, check=False))


async def test_interrupt_cancels_a_blocking_call(line: Line) -> None:
    done = await interrupted(line, "session.wait()")
    assert (done.stdout, done.stderr, done.returncode) == (b"interrupted\n", b"", 0)


async def test_interrupt_closes_a_blocking_stream(line: Line) -> None:
    read = "\n        ".join(("with session.events() as events:", "    for _ in events:", "        pass"))
    done = await interrupted(line, read)
    assert (done.stdout, done.stderr, done.returncode) == (b"interrupted\n", b"", 0)


async def test_interrupt_while_a_stream_opens_leaves_no_connection(line: Line) -> None:
    done = await run(line, INTERRUPTED_START)
    assert (done.stdout, done.stderr, done.returncode) == (b"interrupted\n", b"", 0)
