"""Earlier states: the time to fold one depends on neither the length of the log nor that of its stream."""

from collections.abc import Iterator
from typing import Any

from fleet.core.session.decide import SESSION
from fleet.core.session.events import SessionEdited
from fleet.core.session.state import State
from fleet.events.catalog import make_registry
from fleet.limits import PAST_SNAPSHOT_EVENTS
from fleet.projections.past import Past
from fleet.projections.states import States
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog
from tests.projections.sessions_log import SessionsLog


class CountingLog(MemoryLog):
    """A log that counts the events that folds read."""

    replayed = 0

    def replay(self, stream: str, after: int = 0, through: int | None = None) -> Iterator[tuple[int, int, Any]]:
        for each in super().replay(stream, after, through):
            self.replayed += 1
            yield each


async def read(disk: MemoryDisk, at: int) -> tuple[str | None, int]:
    """Return the title at a position, and how many events a server that has just started folds for it."""
    log = CountingLog(disk, make_registry(), FakeClock())
    found = await Past(States(SESSION, State), log).one("one", at)
    return None if found is None else found.settings.title, log.replayed


async def test_a_long_session_is_folded_from_a_kept_snapshot_near_the_position() -> None:
    world = SessionsLog()
    await world.create("one", "Title 0")
    edits = [SessionEdited(title=f"Title {n}", tags=(), at_ms=n) for n in range(1, 4 * PAST_SNAPSHOT_EVENTS)]
    await world.append("one", *edits)
    before = world.log.head() - 1
    assert await read(world.disk, before) == (f"Title {len(edits) - 1}", before)  # no snapshot was kept so far
    await Past(States(SESSION, State), world.log).one("one", before)
    await world.create("other", "With this commit the snapshots of the fold are on disk")
    for number in (0, 1, PAST_SNAPSHOT_EVENTS, 2 * PAST_SNAPSHOT_EVENTS + 7, len(edits) - 1):
        title, folded = await read(world.disk, 2 + number)
        assert title == f"Title {number}"
        assert folded <= PAST_SNAPSHOT_EVENTS
    assert await read(world.disk, 0) == (None, 0)
