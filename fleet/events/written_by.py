"""Finds out which version of Fleet wrote an event, and refuses a log with events that this version does not know.

Each start of a server is an event that names its version. Its payload is read here without its class, because a newer
Fleet may have changed that.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec

from fleet.core.server import SERVER, SERVER_ID
from fleet.errors import StartupError
from fleet.events import codec
from fleet.events.log import LogReader
from fleet.events.registry import EventRegistry, UnreadableEvent
from fleet.limits import REPLAY_PAGE_EVENTS

_STREAM: Final = f"{SERVER.kind}-{SERVER_ID}"
_STARTED: Final = "server.started"


class _Start(msgspec.Struct, frozen=True):
    version: str = ""


_read_start: Final = msgspec.json.Decoder(_Start).decode


def version_at(log: LogReader, position: int) -> tuple[str, int] | None:
    """Return the version that wrote the event at `position`, and the position of its start; None if it is unknown.

    A start that is damaged is passed over: a log with one can still be served.
    """
    before = position + 1
    while positions := log.stream_positions(_STREAM, 0, before, REPLAY_PAGE_EVENTS, newest_first=True):
        for each in positions:
            with suppress(codec.CorruptRecord, msgspec.MsgspecError):
                record = log.read_record(each)
                if record is not None and (found := codec.decode(record)).header.type == _STARTED:
                    codec.require_payload(found)
                    return _read_start(found.payload).version, each
        before = positions[-1]
    return None


@contextmanager
def readable(log: LogReader, registry: EventRegistry, version: str) -> Generator[None]:
    """Raise `StartupError` for events that `version` does not know, at once or where the block meets one."""
    require_readable(log, registry, version)
    try:
        yield
    except UnreadableEvent as error:
        raise newer_event(log, error, version) from error


def require_readable(log: LogReader, registry: EventRegistry, version: str) -> None:
    """Raise `StartupError` if the last start was that of a newer version than `version` and wrote unknown events."""
    last = version_at(log, log.head())
    if last is None or _numbers(last[0]) <= _numbers(version):
        return
    for first in range(last[1], log.head() + 1, REPLAY_PAGE_EVENTS):
        for header in log.read_headers(range(first, min(first + REPLAY_PAGE_EVENTS, log.head() + 1))):
            try:
                registry.require(header.type, header.schema)
            except UnreadableEvent as error:
                error.position = header.position
                raise newer_event(log, error, version) from error


def newer_event(log: LogReader, error: UnreadableEvent, version: str) -> StartupError:
    """Return what to tell a person who starts `version` on a log with an event that it cannot read."""
    writer = version_at(log, error.position)
    wrote = "another version of Fleet wrote it" if writer is None else f"Fleet {writer[0]} wrote it"
    return StartupError(
        f"Fleet {version} cannot read event {error.position} of the log: {error}. {wrote[0].upper()}{wrote[1:]}. "
        "Start that version or a newer one; this start has changed nothing."
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
