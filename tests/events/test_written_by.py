"""A log with events of a newer Fleet is refused in plain words: which event, and which version wrote it."""

from pathlib import Path

import msgspec
import pytest

from fleet.composition.stores import open_stores
from fleet.core.server import ServerStarted, ServerStopped
from fleet.core.workspace_roots import WorkspaceRootAdded
from fleet.errors import StartupError
from fleet.events.catalog import make_registry
from fleet.events.envelope import Cause
from fleet.events.registry import UnreadableEvent
from fleet.events.written_by import newer_event, require_readable, version_at
from tests.events.samples import open_lmdb
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog


class Dreamt(msgspec.Struct, frozen=True):
    """An event that this version of Fleet does not have."""

    at_ms: int = 0


class StartedLater(msgspec.Struct, frozen=True):
    """The start of a server as a newer Fleet writes it."""

    version: str
    planet: str = "earth"
    at_ms: int = 0


async def newer_log(version: str = "0.2.0", *, knows_starts: bool = True) -> MemoryLog:
    """Return a log that an older and a newer Fleet wrote, as this Fleet sees it."""
    disk = MemoryDisk()
    old = MemoryLog(disk, make_registry(), FakeClock())
    start = ServerStarted(run_id="r1", version="0.1.0", configuration="", at_ms=1)
    await old.append("server-fleet", 0, [start, ServerStopped(run_id="r1", at_ms=2)], Cause("local"))
    registry = make_registry()
    registry.register(Dreamt, "session.dreamt")
    newer = MemoryLog(disk, registry, FakeClock())
    started = ServerStarted(run_id="r2", version=version, configuration="", at_ms=3)
    await newer.append("server-fleet", 2, [started], Cause("local"))
    await newer.append("session-a", 0, [Dreamt()], Cause("local"))
    await newer.append("roots-fleet", 0, [WorkspaceRootAdded(path="/", at_ms=1)], Cause("local"))
    return MemoryLog(disk, make_registry(), FakeClock())


async def test_a_newer_log_is_refused_in_plain_words() -> None:
    log = await newer_log()
    with pytest.raises(StartupError) as caught:
        require_readable(log, make_registry(), "0.1.0")
    assert str(caught.value) == (
        "Fleet 0.1.0 cannot read event 4 of the log: its type 'session.dreamt' is unknown. Fleet 0.2.0 wrote it. "
        "Start that version or a newer one; this start has changed nothing."
    )


async def test_a_log_is_read_by_the_version_that_wrote_it_and_by_newer_ones() -> None:
    log = await newer_log("0.10.0")
    require_readable(log, make_registry(), "0.10.0")
    require_readable(log, make_registry(), "0.11.0")
    with pytest.raises(StartupError, match=r"Fleet 0\.10\.0 wrote it"):
        require_readable(log, make_registry(), "0.9.0")


async def test_an_unreadable_event_names_its_position_and_its_writer() -> None:
    log = await newer_log()
    for read in (log.read_all, lambda: list(log.replay("session-a"))):
        with pytest.raises(UnreadableEvent) as caught:
            read()
        assert "event 4 of the log" in str(newer_event(log, caught.value, "0.2.0"))
    assert [version_at(log, position) for position in (1, 2, 3, 5)] == [("0.1.0", 1)] * 2 + [("0.2.0", 3)] * 2
    assert version_at(MemoryLog(MemoryDisk(), make_registry(), FakeClock()), 7) is None


async def test_a_start_that_is_damaged_is_passed_over() -> None:
    disk = MemoryDisk()
    log = MemoryLog(disk, make_registry(), FakeClock())
    for version in ("0.1.0", "0.2.0"):
        start = ServerStarted(run_id=version, version=version, configuration="", at_ms=1)
        await log.append("server-fleet", log.stream_version("server-fleet"), [start], Cause("local"))
    disk.records[1] = disk.records[1][:-1]
    assert version_at(log, 2) == ("0.1.0", 1)


@pytest.mark.parametrize("version", ["0.0.1", "999.0"])
async def test_a_start_on_a_newer_log_is_refused_and_changes_nothing(tmp_path: Path, version: str) -> None:
    """With the same or an older version as writer, the views meet the event; a newer one is found before."""
    registry = make_registry()
    registry.register(Dreamt, "session.dreamt")
    with open_stores(tmp_path, None):
        pass
    async with open_lmdb(tmp_path, registry=registry) as log:
        start = ServerStarted(run_id="r", version=version, configuration="", at_ms=3)
        await log.append("server-fleet", 0, [start], Cause("local"))
        await log.append("session-a", 0, [Dreamt()], Cause("local"))
    before = (tmp_path / "events.mdb").read_bytes()
    says = f"event 2 of the log: its type 'session.dreamt' .* Fleet {version} wrote"
    with pytest.raises(StartupError, match=says), open_stores(tmp_path, None) as opened:
        opened.stores.log.read_all()
    assert (tmp_path / "events.mdb").read_bytes() == before
