"""Events of the tests, as plain as events can be, and how a test opens a log for them."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio

from fleet.core.session.values import ReplacedPayload
from fleet.events.lmdb_log import LmdbLog
from fleet.events.registry import EventRegistry
from fleet.events.replacements import REPLACING
from tests.fakes.clock import FakeClock


class Opened(msgspec.Struct, frozen=True):
    title: str


class Gone(msgspec.Struct, frozen=True):
    """Orders the erasure of streams `a` and `a-…`, as their last event."""


class Reworded(msgspec.Struct, frozen=True):
    """Orders other payloads for earlier events."""

    replaced: tuple[ReplacedPayload, ...]


class Counted(msgspec.Struct, frozen=True):
    amount: int
    note: str = ""


def sample_registry() -> EventRegistry:
    registry = EventRegistry()
    registry.register(Opened, "sample.opened")
    registry.register(Gone, "a.erased")
    registry.register(Reworded, REPLACING)
    registry.register(Counted, "sample.counted", schema=2, upcasters={1: _count_to_amount})
    return registry


def reworded(*replaced: tuple[int, bytes]) -> Reworded:
    return Reworded(tuple(ReplacedPayload(position, msgspec.Raw(payload)) for position, payload in replaced))


def _count_to_amount(fields: dict[str, Any]) -> dict[str, Any]:
    fields["amount"] = fields.pop("count")
    return fields


def lmdb_log(path: Path, free_bytes: Callable[[], int] | None = None, registry: EventRegistry | None = None) -> LmdbLog:
    return LmdbLog.open(path, registry or sample_registry(), FakeClock(), free_bytes=free_bytes)


@asynccontextmanager
async def open_lmdb(
    path: Path, free_bytes: Callable[[], int] | None = None, registry: EventRegistry | None = None
) -> AsyncGenerator[LmdbLog, None]:
    """Open the log with its writer; stop in order."""
    with lmdb_log(path, free_bytes, registry) as log:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            try:
                yield log
            finally:
                log.stop()
