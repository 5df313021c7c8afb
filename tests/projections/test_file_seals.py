"""A database of views in SQLite that is not of this log is made again, and the index is compared with the log."""

import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from fleet.events.catalog import make_registry
from fleet.events.feed import Feed
from fleet.events.seals import Sealer
from fleet.events.times import LogTimes
from fleet.projections.file_seals import FileSeal
from fleet.projections.history import History, inline
from fleet.projections.history_query import HistorySearch
from fleet.projections.history_store import HistoryStore
from fleet.projections.index_store import IndexStore
from fleet.projections.indexes import Indexes, Indexing
from fleet.projections.replay import Compared, Parted
from fleet.projections.replay_index import replay_index, replay_used_index
from tests.cli.sample_history import happen
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import KEY, MemoryDisk, MemoryLog

Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def records() -> list[bytes]:
    return happen()[0].disk.records


def log_of(records: list[bytes]) -> MemoryLog:
    disk = MemoryDisk()
    disk.records = list(records)
    return MemoryLog(disk, make_registry(), FakeClock())


@pytest.fixture
def log(records: list[bytes]) -> MemoryLog:
    return log_of(records)


OPENED: list["Kept"] = []


@pytest.fixture(autouse=True)
def _closed() -> Generator[None]:  # a database that is not closed is a warning since Python 3.13
    yield
    for each in OPENED:
        each.store.close()
    OPENED.clear()


class Kept:
    """Either database, used as its projection uses it; `rows` is how much it holds."""

    def __init__(self, name: str, directory: Path, log: MemoryLog, sealer: Sealer = KEY.sealer) -> None:
        self.file = directory / f"{name}.sqlite"
        self.seal = FileSeal(self.file, sealer, log)
        self._log = log
        if name == "index":
            self.seal.require()
            self.store: IndexStore | HistoryStore = IndexStore(self.file, log.head(), self.seal)
        else:
            self.store = HistoryStore(self.file, self.seal)
            self.store.open(log.head())
        OPENED.append(self)

    def fill(self, first: int = 0, last: int | None = None) -> None:
        streams = list(self._log.streams("session-"))[first:last]
        for stream in streams:
            events = self._log.read_stream(stream)
            if isinstance(self.store, IndexStore):
                self.store.apply(stream, events)
            else:
                self.store.apply(events, events[-1].position)

    def rows(self) -> int:
        table = "bodies" if isinstance(self.store, IndexStore) else "texts"
        with closing(sqlite3.connect(self.file)) as sql:
            return int(sql.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def stop(self) -> None:
        if isinstance(self.store, IndexStore):
            self.store.close()
            self.seal.put(self.seal.now())
        else:
            self.store.close(self.seal.now())


def stopped(name: str, directory: Path, log: MemoryLog) -> int:
    kept = Kept(name, directory, log)
    kept.fill()
    rows = kept.rows()
    kept.stop()
    return rows


def forge(file: Path) -> None:
    with closing(sqlite3.connect(file)) as sql:
        (table,) = sql.execute("SELECT name FROM sqlite_master WHERE name IN ('bodies', 'texts')").fetchone()
        column = "part" if table == "bodies" else "kind"
        sql.execute(f"UPDATE {table} SET {column} = 'forged'")
        sql.commit()


def remove_seal(file: Path) -> None:
    file.with_name(file.name + ".seal").unlink()


def damage_seal(file: Path) -> None:
    file.with_name(file.name + ".seal").write_text("{")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-4096])


@pytest.mark.parametrize("name", ["index", "history"])
def test_database_of_an_orderly_stop_is_used_again(tmp_path: Path, log: MemoryLog, name: str) -> None:
    rows = stopped(name, tmp_path, log)
    again = Kept(name, tmp_path, log)
    assert (again.rows(), rows > 0) == (rows, True)


@pytest.mark.parametrize("name", ["index", "history"])
@pytest.mark.parametrize("change", [forge, remove_seal, damage_seal, cut])
def test_database_that_was_changed_is_made_again(
    tmp_path: Path, log: MemoryLog, name: str, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped(name, tmp_path, log)
    change(tmp_path / f"{name}.sqlite")
    assert Kept(name, tmp_path, log).rows() == 0
    assert capsys.readouterr().out.count("view_not_of_this_log") == 1


@pytest.mark.parametrize("name", ["index", "history"])
def test_database_of_another_log_or_key_is_made_again(
    tmp_path: Path, log: MemoryLog, records: list[bytes], name: str
) -> None:
    stopped(name, tmp_path, log)
    assert Kept(name, tmp_path, log_of(records[:-1])).rows() == 0
    stopped(name, tmp_path, log)
    assert Kept(name, tmp_path, log, Sealer(bytes(32))).rows() == 0


@pytest.mark.parametrize("name", ["index", "history"])
def test_database_after_a_crash_is_that_of_the_last_flush(tmp_path: Path, log: MemoryLog, name: str) -> None:
    kept = Kept(name, tmp_path, log)
    kept.fill(0, 1)
    kept.store.flush(kept.seal.now())
    rows = kept.rows()
    kept.fill(1)
    assert kept.rows() > rows
    for suffix in ("", "-wal", ".seal"):  # what a kill leaves
        (tmp_path / f"left{suffix}").write_bytes((tmp_path / f"{name}.sqlite{suffix}").read_bytes())
    kept.stop()
    for suffix in ("", "-wal", ".seal"):
        (tmp_path / f"left{suffix}").rename(tmp_path / f"{name}.sqlite{suffix}")
    assert Kept(name, tmp_path, log).rows() == rows


@pytest.mark.parametrize("name", ["index", "history"])
def test_database_of_a_first_start_is_used_again_when_the_same_process_opens_it(
    tmp_path: Path, log: MemoryLog, name: str
) -> None:
    kept = Kept(name, tmp_path, log)
    kept.fill()
    rows = kept.rows()
    kept.stop()
    assert kept.seal.require() is False
    assert (kept.rows(), rows > 0) == (rows, True)


async def test_index_of_a_server_that_is_killed_early_is_of_its_log(
    tmp_path: Path, log: MemoryLog, capsys: pytest.CaptureFixture[str]
) -> None:
    file, left = tmp_path / "index.sqlite", tmp_path / "left"
    indexes = Indexes(log, file, FileSeal(file, KEY.sealer, log))
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(Indexing(indexes, LogTimes(log), log, inline).run, stopping)
        await wait_all_tasks_blocked()
        await indexes.read(next(iter(log.streams("session-"))), lambda _: None)
        left.mkdir()
        for each in tmp_path.glob("index.sqlite*"):  # what a kill leaves
            (left / each.name).write_bytes(each.read_bytes())
        stopping.set()
    assert FileSeal(left / file.name, KEY.sealer, log).require()
    assert "view_not_of_this_log" not in capsys.readouterr().out


def put_back(name: str, directory: Path, log: MemoryLog) -> int:
    """Fill a database, and leave it as it was sealed when half of it was there; return its rows."""
    kept, events, half = Kept(name, directory, log), log.read_all(), log.head() // 2
    if isinstance(kept.store, IndexStore):
        kept.fill(0, 1)
    else:
        kept.store.apply(events[:half], half)
    kept.store.flush(kept.seal.now())
    older = {suffix: (directory / f"{name}.sqlite{suffix}").read_bytes() for suffix in ("", ".seal")}
    if isinstance(kept.store, IndexStore):
        kept.fill(1)
    else:
        kept.store.apply(events[half:], log.head())
    rows = kept.rows()
    kept.stop()
    for suffix, content in older.items():
        (directory / f"{name}.sqlite{suffix}").write_bytes(content)
    return rows


async def test_older_index_that_is_put_back_is_brought_up_to_date(tmp_path: Path, log: MemoryLog) -> None:
    rows, file = put_back("index", tmp_path, log), tmp_path / "index.sqlite"
    indexes = Indexes(log, file, FileSeal(file, KEY.sealer, log))
    for stream in log.streams("session-"):
        await indexes.read(stream, lambda _: None)
    assert list(replay_used_index(log, indexes.connection))[-1] == Compared("index", log.head(), 2)
    assert (tmp_path / "index.sqlite-wal").stat().st_size > 0
    seal = indexes.close()
    assert seal is not None
    seal()
    assert Kept("index", tmp_path, log).rows() == rows


async def test_older_history_that_is_put_back_is_brought_up_to_date(tmp_path: Path, log: MemoryLog) -> None:
    rows, file = put_back("history", tmp_path, log), tmp_path / "history.sqlite"
    history = History(log, Feed(log), file, run_sync=inline, seal=FileSeal(file, KEY.sealer, log))
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(history.run, stopping)
        assert (await history.search(HistorySearch())).total == 2
        stopping.set()
    assert Kept("history", tmp_path, log).rows() == rows


@pytest.mark.parametrize("damaged", [False, True])
async def test_stream_that_was_erased_since_the_last_seal_leaves_the_index_at_the_start(
    tmp_path: Path, records: list[bytes], *, damaged: bool
) -> None:
    disk = MemoryDisk()
    disk.records = list(records)
    log = MemoryLog(disk, make_registry(), FakeClock())
    file = tmp_path / "index.sqlite"
    kept = Kept("index", tmp_path, log)
    kept.fill()
    kept.stop()
    other, erased = log.streams("session-")
    await log.erase(erased)
    if damaged:
        first = log.stream_positions(other, 0, log.head(), 1, newest_first=False)[0]
        disk.records[first - 1] = disk.records[first - 1][:100]
    indexes = Indexes(log, file, FileSeal(file, KEY.sealer, log))
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(Indexing(indexes, LogTimes(log), log, inline).run, stopping)
        await wait_all_tasks_blocked()
        stopping.set()
    with closing(sqlite3.connect(file)) as sql:
        assert sql.execute("SELECT name FROM streams").fetchall() == [(other,)], "the damaged one, too"


def compared(log: MemoryLog, directory: Path) -> list[Parted]:
    scratch = directory / "scratch"
    scratch.mkdir(exist_ok=True)
    found = [each for each in replay_index(log, directory, scratch, log.head()) if each is not None]
    assert [each.rows for each in found if isinstance(each, Compared)] == [2]
    return [each for each in found if isinstance(each, Parted)]


@pytest.mark.parametrize("rows", [1, 512])
@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ("UPDATE bodies SET position = position - 1 WHERE position = (SELECT max(position) FROM bodies)", ("bodies",)),
        ("DELETE FROM marks WHERE kind = 'turn'", ("marks",)),
        ("UPDATE charges SET turn = 9", ("charges",)),
        ("UPDATE places SET created_ms = created_ms + 1", ("places",)),
        ("UPDATE counts SET total = total + 1", ("counts",)),
        ("INSERT INTO facts SELECT stream, 'prompt', 'invented', position FROM facts LIMIT 1", ("facts",)),
        ("INSERT INTO facts VALUES (99, 'prompt', 'invented', 1)", ("rows of no stream in facts",)),
        ("INSERT INTO times VALUES (0, 1, 2)", None),
    ],
)
def test_changed_row_of_the_index_parts_from_the_log(
    tmp_path: Path,
    log: MemoryLog,
    monkeypatch: pytest.MonkeyPatch,
    rows: int,
    change: str,
    fields: tuple[str, ...] | None,
) -> None:
    monkeypatch.setattr("fleet.projections.replay_index.INDEX_COMPARED_ROWS", rows)
    stopped("index", tmp_path, log)
    assert compared(log, tmp_path) == []
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as sql:
        assert sql.execute(change).rowcount > 0
        sql.commit()
    found = compared(log, tmp_path)
    if fields is None:  # the times of a block that is not complete are not used
        assert found == []
    else:
        assert {each.fields for each in found} == {fields}
        assert all(each.position > 0 for each in found)


async def test_used_index_is_compared_while_readers_bring_it_up_to_date(log: MemoryLog) -> None:
    indexes = Indexes(log)
    assert list(replay_used_index(log, indexes.connection)) == [Compared("index", None)]
    one, other = log.streams("session-")
    await indexes.read(one, lambda _: None)
    index = indexes.connection()
    assert index is not None
    index.execute("UPDATE streams SET position = 0")
    for table in ("bodies", "marks", "facts", "messages", "parts", "charges", "conversations", "places", "counts"):
        index.execute(f"DELETE FROM {table}")
    found = list[Parted | Compared | None]()
    for step in replay_used_index(log, indexes.connection):
        if not found:
            await indexes.read(one, lambda _: None)  # a reader, after the first step
            await indexes.read(other, lambda _: None)
        found.append(step)
    assert [each for each in found if each is not None] == [Compared("index", log.head(), 2)]
    index.execute("DELETE FROM marks WHERE kind = 'turn'")
    parted = [each for each in replay_used_index(log, indexes.connection) if isinstance(each, Parted)]
    assert {(each.key, each.fields) for each in parted} == {(one, ("marks",)), (other, ("marks",))}


async def test_used_index_that_is_discarded_meanwhile_is_not_compared(log: MemoryLog) -> None:
    indexes = Indexes(log)
    await indexes.read(next(iter(log.streams("session-"))), lambda _: None)
    steps = replay_used_index(log, indexes.connection)
    assert next(steps) is None
    indexes.close()
    assert list(steps) == [Compared("index", None)]


def test_stream_that_the_log_does_not_have_parts_from_it(tmp_path: Path, log: MemoryLog) -> None:
    stopped("index", tmp_path, log)
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as sql:
        sql.execute("INSERT INTO streams (name, position) VALUES ('session-ghost', 5)")
        sql.commit()
    found = [each for each in replay_index(log, tmp_path, scratch_of(tmp_path), log.head()) if isinstance(each, Parted)]
    assert [(each.key, each.fields) for each in found] == [("session-ghost", ("stream",))]


def scratch_of(directory: Path) -> Path:
    (directory / "scratch").mkdir()
    return directory / "scratch"
