"""The `fleet` command against a server of the test: in a thread, or on a terminal in a process of its own."""

import os
import pty
import select
import signal
import subprocess
import sys
from typing import NamedTuple

import trio
from typer.testing import CliRunner

from fleet.cli.app import command_line
from fleet.cli.failures import sentence_and_code
from tests.client.line import Line

PROGRAM = (sys.executable, "-c", "from fleet.cli import main; main()")
PROGRAM_WITH_CTRL_C = (
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from fleet.cli import main; main()",
)
"""As on a terminal: what a shell runs in the background ignores SIGINT, and so does all that it starts."""


AGAIN_S = 5.0


class Done(NamedTuple):
    """How it ended."""

    code: int
    out: str
    err: str


def environment(line: Line, **more: str) -> dict[str, str]:
    """Return an environment without this one's configuration, on that line."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FLEET_", "LESS", "PAGER"))}
    return {**clean, "FLEET_URL": line.url, "XDG_CONFIG_HOME": "/nonexistent", **more}


async def fleet(line: Line, *arguments: str, stdin: str | bytes = "", **more: str) -> Done:
    """Run the command with pipes."""

    def run() -> Done:
        unset = {name: None for name in os.environ if name.startswith("FLEET_")}
        result = CliRunner().invoke(command_line(), arguments, input=stdin, env={**unset, **environment(line, **more)})
        told = None if result.exception is None else sentence_and_code(result.exception)
        if told is not None:
            return Done(told[1], result.stdout, f"fleet: {told[0]}\n")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    return await trio.to_thread.run_sync(run)


async def on_terminal(
    line: Line,
    *arguments: str,
    interrupt_at: bytes | None = None,
    pager: str = "cat",
    columns: int = 80,
    **more: str,
) -> Done:
    """Run the command on a terminal; Ctrl-C is pressed when it has shown `interrupt_at`.

    As a person does, it is pressed again if nothing happens: a signal that arrives just before Python waits for input
    is noticed with the next one.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(  # noqa: ASYNC220 - it is waited for in a thread
        [*PROGRAM_WITH_CTRL_C, *arguments],
        env=environment(line, TERM="xterm-256color", COLUMNS=str(columns), LINES="24", FLEET_PAGER=pager, **more),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)

    def read() -> bytes:
        said, pressed = b"", False
        while True:
            while pressed and not select.select([ours], [], [], AGAIN_S)[0]:
                process.send_signal(signal.SIGINT)
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # its other end is closed
                return said
            said += chunk
            if interrupt_at is not None and interrupt_at in said and not pressed:
                pressed = True
                process.send_signal(signal.SIGINT)

    said = await trio.to_thread.run_sync(read)
    code = await trio.to_thread.run_sync(process.wait)
    os.close(ours)
    return Done(code, said.decode(errors="replace"), "")
