"""What do chain and signatures cost, and how fast is the log verified?

Run: python -m bench proof
"""

import hashlib
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import trio

from bench.figures import Figure, best, show
from bench.log import CAUSE, Counted, appends_per_s, event_of
from fleet.adapters.clock import SystemClock
from fleet.events import batch, codec
from fleet.events.head_table import HeadTable
from fleet.events.lmdb_log import LmdbLog
from fleet.events.registry import EventRegistry
from fleet.events.verify import verify

_APPENDERS = (1, 16, 256)
_EVENTS = 50_000
_PAGE = 500
_DIGEST = bytes(32)
_TEXT = " ".join(f"word {number} of a message, as long as most events are" for number in range(20))


def _registry() -> EventRegistry:
    registry = EventRegistry()
    registry.register(Counted, "bench.counted")
    return registry


@contextmanager
def _unproven() -> Generator[None]:
    """Leave out digests and signatures; the records keep their size."""

    def encode(header: codec.Header, salt: bytes, payload: bytes) -> tuple[bytes, bytes]:
        return codec.join(codec._encode_header(header), salt, payload), _DIGEST

    def digest(*_: object) -> bytes:
        return _DIGEST

    def put(*_: object) -> None:
        pass

    with (
        patch.object(batch, "encode", encode),
        patch.object(batch, "digest_payload", digest),
        patch.object(batch, "digest_command", digest),
        patch.object(HeadTable, "put", put),
    ):
        yield


async def _append(directory: Path, appenders: int) -> float:
    with LmdbLog.open(directory, _registry(), SystemClock()) as log:

        async def append(stream: int, version: int) -> None:
            command_id = f"0190a2b4-{version:08x}-{stream:08x}"
            await log.append(f"session-{stream:036}", version, (event_of(version),), CAUSE, command_id=command_id)

        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            rate = await appends_per_s(append, appenders)
            log.stop()
    return rate


def _appends(appenders: int, *, proven: bool) -> float:
    with tempfile.TemporaryDirectory() as directory:
        if proven:
            return trio.run(_append, Path(directory), appenders)
        with _unproven():
            return trio.run(_append, Path(directory), appenders)


async def _write(directory: Path) -> None:
    with LmdbLog.open(directory, _registry(), SystemClock()) as log:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            for first in range(0, _EVENTS, _PAGE):
                stream = f"session-{first // _PAGE % 20:036}"
                events = [Counted(number, _TEXT[number % 64 :][:350]) for number in range(_PAGE)]
                await log.append(stream, log.stream_version(stream), events, CAUSE, command_id=f"c{first}")
            log.stop()


def _verified_per_s(log: LmdbLog) -> float:
    started_s = time.process_time()
    report = verify(log)
    if report.first_break is not None:
        raise RuntimeError(str(report.first_break))
    return report.events / (time.process_time() - started_s)


def _hashed_per_s(log: LmdbLog) -> float:
    """Read each record by its key and hash what its two digests cover."""
    started_s = time.process_time()
    for position in range(1, log.head() + 1):
        raw = log.read_record(position) or b""
        end = 4 + int.from_bytes(raw[:4], "big")
        hashlib.sha256(raw[4:end]).digest()
        hashlib.sha256(raw[end:]).digest()
    return log.head() / (time.process_time() - started_s)


def main() -> list[Figure]:
    """Measure, print and return."""
    figures: list[Figure] = []
    for appenders in _APPENDERS:
        sides = (partial(_appends, appenders, proven=proven) for proven in (True, False))
        proven, unproven = best(max, *sides)
        figures.append(Figure(f"{appenders} appenders", proven, "/s", unproven, ratio_at_least=0.85))
    with tempfile.TemporaryDirectory() as directory:
        trio.run(_write, Path(directory))
        with LmdbLog.open(Path(directory), _registry(), SystemClock()) as log:
            verified, hashed = best(max, partial(_verified_per_s, log), partial(_hashed_per_s, log))
    figures.append(Figure("verify the chain, in processor time", verified, "/s", hashed, ratio_at_least=0.5))
    return show("proof: appends against a log without digests and signatures; verify against read and hash", figures)


if __name__ == "__main__":
    main()
