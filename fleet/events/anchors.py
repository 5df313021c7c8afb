"""Anchors: signed heads of the log in files outside of the data directory, one JSON line each.

The key is in the data directory, so a thief of it can sign a rewritten log, but cannot change an anchor that was stored
elsewhere before: a log that was rewritten, cut off or replaced by an older copy does not agree with it.
"""

import os
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path

import msgspec
import structlog
import trio

from fleet.events.log import Log
from fleet.events.signing import is_signed
from fleet.events.verify import Break
from fleet.limits import ANCHOR_INTERVAL_S
from fleet.wire.audit import SignedHead

Write = Callable[[Callable[[], None]], Awaitable[None]]

_logger = structlog.get_logger(__name__)


class Anchors:
    """Appends the head of a log to a file at intervals and at the stop, where the log has grown. Fits a `ChildSpec`.

    `write` runs a write of the file outside the event loop.
    """

    def __init__(self, log: Log, file: Path, write: Write = trio.to_thread.run_sync) -> None:
        self._log = log
        self._file = file
        self._write = write
        self._position = 0

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until `stopping`. A file that cannot be written is reported, and tried again."""
        task_status.started()
        while not stopping.is_set():
            with trio.move_on_after(ANCHOR_INTERVAL_S):
                await stopping.wait()
            head = self._log.heads().last
            if head is not None and head.position > self._position:
                await self._append(head)

    async def _append(self, head: SignedHead) -> None:
        try:
            await self._write(partial(append_anchor, self._file, head))
        except OSError as error:
            _logger.warning("anchor_not_written", file=str(self._file), error=str(error))
        else:
            self._position = head.position


def anchor_line(head: SignedHead) -> bytes:
    """Return the line of an anchor file."""
    return msgspec.json.encode(head) + b"\n"


def append_anchor(file: Path, head: SignedHead) -> None:
    """Append the head to the file, durably. Raises OSError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, anchor_line(head))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_anchors(lines: Iterable[bytes]) -> list[SignedHead]:
    """Return the heads of an anchor file; empty lines are skipped. Raises ValueError for a line that is none."""
    heads: list[SignedHead] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                heads.append(msgspec.json.decode(line, type=SignedHead))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ValueError(f"line {number} is not a signed head: {error}") from error
    return heads


def find_foreign(heads: Iterable[SignedHead], key: str) -> Break | None:
    """Return a break for the first anchor that the key of this log (hex) did not sign, None where it signed all."""
    for head in heads:
        if head.key != key:
            return Break(head.position, "the anchor of this event was signed by another key than the log's")
        if not is_signed(head):
            return Break(head.position, "the signature of this event's anchor is wrong: the anchor was changed")
    return None
