"""The drill: it breaks scratch copies of a log, says what it finds, and changes nothing of the original."""

import hashlib
import signal
from contextlib import closing
from pathlib import Path

import pytest
import trio

from fleet.adapters.clock import SystemClock
from fleet.diagnosis.checks import Check
from fleet.drill.drills import appending_process, run_drills
from fleet.drill.scratch import scratch_copy
from fleet.errors import StartupError
from fleet.events.batch import LogEnd
from fleet.events.catalog import make_registry
from fleet.events.codec import digest_of
from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.events.lmdb_store import LOG_FILE
from fleet.events.snapshots import fingerprint
from fleet.projections.runner import Runner
from fleet.projections.store import LmdbViewStore
from fleet.projections.views import make_views
from tests.core.sessions import FINISHED, STOPPED


async def recorded(directory: Path) -> None:
    """Record two sessions, and store their states."""
    with LmdbLog.open(directory, make_registry(), SystemClock()) as log:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            for stream, events in (("session-s1", FINISHED), ("session-s2", STOPPED)):
                for version, event in enumerate(events):
                    await log.append(stream, version, [event], Cause())
            log.stop()
        store = LmdbViewStore(directory / "views", log.sealer)
        runner = Runner(log, store, make_views())
        runner.open()
        await runner.save()
        store.close()


def digests(directory: Path) -> dict[str, str]:
    """Return what is in the files of the directory."""
    files = (file for file in directory.rglob("*") if file.is_file() and file.name != "lock.mdb")
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def drilled(directory: Path, scratch: Path) -> dict[str, Check]:
    scratch.mkdir(exist_ok=True)
    return {check.name: check for check in run_drills(directory, scratch)}


async def test_sound_log_passes_all_drills_and_stays_as_it_is(tmp_path: Path) -> None:
    await recorded(tmp_path / "data")
    before = digests(tmp_path / "data")
    found = drilled(tmp_path / "data", tmp_path / "scratch")
    assert [(name, check.state) for name, check in found.items()] == [
        (name, "ok") for name in ("copy", "verify", "replay", "kill -9", "full disk", "lost stream")
    ], found
    assert "confirmed events are there" in found["kill -9"].detail
    assert "found at event" in found["lost stream"].detail
    assert digests(tmp_path / "data") == before
    assert list((tmp_path / "scratch").iterdir()) == []


async def test_damaged_log_is_named_and_not_broken_further(tmp_path: Path) -> None:
    await recorded(tmp_path)
    file = tmp_path / LOG_FILE
    content = file.read_bytes()
    assert content.count(b'"title":"Title"') >= 1
    file.write_bytes(content.replace(b'"title":"Title"', b'"title":"title"'))
    found = drilled(tmp_path, tmp_path / "scratch")
    assert list(found) == ["copy", "verify"]
    assert (found["verify"].state, "event 1" in found["verify"].detail) == ("failed", True)


async def test_stored_state_that_differs_from_the_events_is_named(tmp_path: Path) -> None:
    await recorded(tmp_path)
    sessions = make_views().sessions
    shape = fingerprint(sessions.name, sessions.state_type, sessions.decider.revision)
    with (
        LmdbLog.open(tmp_path, make_registry(), SystemClock()) as log,
        closing(LmdbViewStore(tmp_path / "views", log.sealer)) as store,
    ):
        _, rows = store.load("session", shape, lambda position: digest_of(log.read_record(position) or b""))
        wrong = {key: row.replace(b"Title", b"Forge") for key, row in rows}
        end = LogEnd(log.head(), digest_of(log.read_record(log.head()) or b""))
        store.save("session", shape, end, wrong)
    replay = next(check for check in run_drills(tmp_path) if check.name == "replay")
    assert (replay.state, "session s1" in replay.detail) == ("failed", True)


def test_without_a_log_or_room_there_is_no_drill(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="no event log"):
        list(run_drills(tmp_path))


def test_interrupted_drill_ends_its_process(tmp_path: Path) -> None:
    """It would continue to write into the directory that is being removed."""
    with pytest.raises(KeyboardInterrupt), appending_process(tmp_path) as process:
        raise KeyboardInterrupt
    assert process.returncode == -signal.SIGKILL


def test_what_goes_wrong_beside_a_scratch_copy_is_not_blamed_on_it(tmp_path: Path) -> None:
    trio.run(recorded, tmp_path)
    with pytest.raises(BrokenPipeError), scratch_copy(tmp_path, None):
        raise BrokenPipeError
