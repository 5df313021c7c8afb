"""The replay finds rows, snapshots and search texts that do not follow from the log, and where they part from it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from fleet.core.session.decide import SESSION
from fleet.core.session.events import CallbacksErased
from fleet.core.session.state import State
from fleet.core.session.values import ReplacedPayload
from fleet.events.catalog import make_registry
from fleet.events.envelope import StateSnapshot
from fleet.events.snapshots import fingerprint, pack
from fleet.projections.history_store import HistoryStore
from fleet.projections.replay import Compared, Finding, Parted, Steps, replay_snapshots, replay_views
from fleet.projections.replay_history import replay_history
from fleet.projections.runner import Runner
from fleet.projections.views import make_views
from tests.cli.sample_history import happen
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog
from tests.fakes.memory_store import MemoryStore
from tests.projections.sessions_log import SessionsLog

SCHEMA = fingerprint("session", State, SESSION.revision)


@pytest.fixture(scope="module")
def history() -> tuple[MemoryDisk, str]:
    machine, (asking, _) = happen()
    return machine.disk, asking


@pytest.fixture
def log(history: tuple[MemoryDisk, str]) -> MemoryLog:
    disk = MemoryDisk()
    disk.records = list(history[0].records)
    return MemoryLog(disk, make_registry(), FakeClock())


@pytest.fixture
async def store(log: MemoryLog) -> MemoryStore:
    store, views = MemoryStore(), make_views()
    runner = Runner(log, MemoryStore(), views)
    runner.open()
    for view in views:
        rows = {key: pack(view.row(key)) for key in view.ids()}
        store.save(view.name, fingerprint(view.name, view.state_type, view.decider.revision), log.tip, rows)
    return store


def found_by(steps: Steps) -> list[Finding]:
    return [each for each in steps if each is not None]


def parted(found: list[Finding]) -> list[Parted]:
    assert any(isinstance(each, Compared) and each.rows for each in found)
    return [each for each in found if isinstance(each, Parted)]


def folded(log: MemoryLog, session_id: str, through: int) -> State:
    state = SESSION.initial(session_id)
    for recorded in log.read_stream(f"session-{session_id}"):
        if recorded.position <= through:
            state = SESSION.evolve(state, recorded.event)
    return state


async def test_stored_rows_follow_from_the_log(log: MemoryLog, store: MemoryStore) -> None:
    found = found_by(replay_views(log, store, log.head()))
    assert parted(found) == []
    assert {each.projection: each.rows for each in found if isinstance(each, Compared)}["session"] == 2
    early = found_by(replay_views(log, store, log.head() - 1, "session"))
    assert early == [Compared("session", None)]


async def test_forged_and_outdated_rows_are_found_with_their_position(
    history: tuple[MemoryDisk, str], log: MemoryLog, store: MemoryStore
) -> None:
    session_id = history[1]
    own = [recorded.position for recorded in log.read_stream(f"session-{session_id}")]
    state = folded(log, session_id, log.head())
    forged = replace(state, settings=replace(state.settings, title="Forged"))
    for stored, position, fields in (
        (folded(log, session_id, own[9]), own[10], ()),
        (forged, own[0], ("settings",)),
    ):
        store.save("session", SCHEMA, log.tip, {session_id: pack(stored)})
        (found,) = parted(found_by(replay_views(log, store, log.head())))
        assert (found.projection, found.key, found.position) == ("session", session_id, position)
        assert set(fields) <= set(found.fields)
    store.save("session", SCHEMA, log.tip, {"ghost": pack(state)}, {session_id})
    ghost, missing = sorted(
        parted(found_by(replay_views(log, store, log.head()))), key=lambda each: each.key, reverse=True
    )
    assert (ghost.fields, missing.fields) == (("the log does not have it",), ("it is not stored",))
    assert missing.position == own[0]


async def test_forged_snapshot_is_found(history: tuple[MemoryDisk, str], log: MemoryLog) -> None:
    session_id = history[1]
    stream = f"session-{session_id}"
    last = log.read_stream(stream)[-1]
    state = folded(log, session_id, last.position)
    log.save_snapshot(stream, StateSnapshot(last.version, last.position, SCHEMA, pack(state)))
    assert parted(found_by(replay_snapshots(log, log.head()))) == []
    log.save_snapshot(stream, StateSnapshot(last.version, last.position, SCHEMA, pack(replace(state, turns=99))))
    (found,) = parted(found_by(replay_snapshots(log, log.head())))
    assert (found.key, found.fields) == (stream, ("turns",))
    log.save_snapshot(stream, StateSnapshot(last.version, last.position, "session/0/old", msgspec.msgpack.encode(1)))
    assert found_by(replay_snapshots(log, log.head())) == [Compared("snapshots", log.head(), 0)]


async def test_changed_search_text_is_found(history: tuple[MemoryDisk, str], log: MemoryLog, tmp_path: Path) -> None:
    with closing(HistoryStore(tmp_path / "history.sqlite")) as store:
        store.open(0)
        store.apply(log.read_all(), log.head())
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    assert parted(list(replay_history(log, tmp_path, tmp_path / "one", log.head()))) == []
    with closing(sqlite3.connect(tmp_path / "history.sqlite")) as sql:
        sql.execute("UPDATE sessions SET title = 'Forged' WHERE id = ?", (history[1],))
        sql.commit()
    (found,) = parted(list(replay_history(log, tmp_path, tmp_path / "other", log.head())))
    assert (found.key, found.fields) == (history[1], ("session",))


async def test_text_that_was_replaced_after_the_search_text_was_stored_is_no_forgery(tmp_path: Path) -> None:
    """A crash may come between an event that replaces texts and the history's next write."""
    world = SessionsLog()
    await world.create("one", "Title")
    await world.part("one", "prt_1", "a callback")
    await world.create("two", "Other")
    with closing(HistoryStore(tmp_path / "history.sqlite")) as store:
        store.open(0)
        store.apply(world.log.read_all(), world.log.head())
    recorded = world.log.read_all()[2]
    new = msgspec.Raw(recorded.payload.replace(b"a callback", b"erased"))
    order = CallbacksErased(child_id="c", replaced=(ReplacedPayload(3, new),), parts=("prt_1",), at_ms=4)
    await world.append("one", order)
    assert parted(list(replay_history(world.log, tmp_path, scratch(tmp_path, "one"), world.log.head()))) == []
    with closing(sqlite3.connect(tmp_path / "history.sqlite")) as sql:
        sql.execute("UPDATE sessions SET title = 'Forged' WHERE id = 'two'")
        sql.commit()
    (found,) = parted(list(replay_history(world.log, tmp_path, scratch(tmp_path, "two"), world.log.head())))
    assert (found.key, found.fields) == ("two", ("session",))


def scratch(directory: Path, name: str) -> Path:
    (directory / name).mkdir()
    return directory / name
