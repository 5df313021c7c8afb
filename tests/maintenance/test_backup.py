"""Backups: complete, incremental, erased where the Fleet erased, verified, restored."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import lmdb
import msgspec
import pytest
import trio

from fleet.adapters.clock import SystemClock
from fleet.adapters.git.trees import GitTrees
from fleet.core.session.events import CallbacksErased, SessionErased, SessionStopped, StopRequested
from fleet.core.session.values import ReplacedPayload
from fleet.errors import StartupError
from fleet.events.backup_source import BackupSource, read_last_backup
from fleet.events.blobs import name_of
from fleet.events.catalog import make_registry
from fleet.events.directory_identity import require_home, write_identity
from fleet.events.envelope import Cause
from fleet.events.lmdb_blobs import LmdbBlobs
from fleet.events.lmdb_log import LmdbLog
from fleet.events.read_only import reading_directory
from fleet.maintenance.backup import BackupReport, DirectoryReader, make_backup, reading_stopped
from fleet.maintenance.restoration import restore_backup
from fleet.ports import FileContent
from fleet.projections.lives import lives
from fleet.wire.backup import ErasedStreams, Origin, Owners, Records
from tests.core import sessions
from tests.maintenance.test_restoration import fleet_at

Part = TypeVar("Part")
SECRET = "do it"  # the text of the prompt in `sessions.ACTIVE`
CONTENT = b"a content that only the session s1 owns " * 3


@pytest.fixture
def root(tmp_path: Path) -> Path:
    fleet_at(tmp_path.resolve())
    return tmp_path.resolve()


@pytest.fixture
def other(root: Path) -> Path:
    """Another data directory, with the same id: the log was not continued but made again."""
    (root / "other").mkdir()
    fleet_at(root / "other")
    return root / "other"


class Writing:
    """A data directory while a server writes it."""

    def __init__(self, data: Path, log: LmdbLog, blobs: LmdbBlobs) -> None:
        self.data = data
        self.log = log
        self.blobs = blobs

    async def session(self, name: str, contents: Sequence[bytes] = ()) -> None:
        if contents:
            await self.blobs.put(f"session-{name}", contents)
        await self.log.append(
            f"session-{name}", 0, sessions.ACTIVE, Cause(), command_id=f"c-{name}", command_digest=b"d"
        )

    async def erase(self, name: str) -> None:
        stream = f"session-{name}"
        events = [StopRequested(at_ms=1), SessionStopped(evidence="", at_ms=1)]
        version = self.log.stream_version(stream)
        await self.log.append(stream, version, [*events, SessionErased(at_ms=1)], Cause())
        await self.blobs.forget(stream)
        await self.log.erase(stream)

    async def replace(self, name: str) -> None:
        stream = f"session-{name}"
        for recorded in self.log.read_stream(stream):
            if SECRET.encode() in recorded.payload:
                new = msgspec.Raw(recorded.payload.replace(SECRET.encode(), b"gone"))
                order = CallbacksErased(child_id="", replaced=(ReplacedPayload(recorded.position, new),), at_ms=1)
                await self.log.append(stream, self.log.stream_version(stream), [order], Cause())

    async def back_up(self, target: Path) -> BackupReport:
        return await make_backup(DirectoryReader(BackupSource(self.log, self.blobs, self.data)), target, told_nothing)


def told_nothing(step: str, done: int, total: int) -> None:
    assert step
    assert 0 <= done <= total


@asynccontextmanager
async def writing(root: Path) -> AsyncGenerator[Writing]:
    data = root / "data"
    with LmdbLog.open(data, make_registry(), SystemClock()) as log, LmdbBlobs(data) as blobs:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            yield Writing(data, log, blobs)
            log.stop()


def records(directory: Path) -> list[bytes | None]:
    with reading_directory(directory, make_registry()) as log:
        return [log.read_record(position) for position in range(1, log.head() + 1)]


def holds(directory: Path, text: bytes) -> list[str]:
    """Return the files with this text, also where blobs are compressed."""
    return [file.name for file in directory.rglob("*") if file.is_file() and text in file.read_bytes()]


async def test_a_backup_has_everything_and_the_next_one_copies_what_is_new(root: Path) -> None:
    target = root / "backup"
    async with writing(root) as fleet:
        (fleet.data / "tokens.json").write_text("{}")
        (fleet.data / "local-token").write_text("not for a backup")
        (fleet.data / "trees" / "w1").mkdir(parents=True)
        (fleet.data / "trees" / "w1" / "HEAD").write_text("ref")
        await fleet.session("s1", [CONTENT, b"shared"])
        first = await fleet.back_up(target)
        assert (first.position, first.new_events, first.new_contents, first.new_files) == (25, 25, 2, 4)
        await fleet.session("s2", [b"shared", b"new"])
        second = await fleet.back_up(target)
        assert (second.new_events, second.new_contents, second.new_files) == (7, 1, 0)
        again = await fleet.back_up(target)
        assert (again.new_events, again.new_contents, again.new_files, again.digest) == (0, 0, 0, second.digest)
        last = read_last_backup(fleet.data)
        assert last is not None
        assert last.position == fleet.log.head()
        command = fleet.log.find_command("c-s1")
        owned = fleet.blobs.owned("session-s2")
    assert records(target) == records(root / "data")
    with reading_directory(target, make_registry()) as copy, LmdbBlobs(target) as blobs:
        assert copy.find_command("c-s1") == command
        assert blobs.owned("session-s2") == owned
        assert blobs.get(name_of(CONTENT)) == CONTENT
    modes = {file.stat().st_mode & 0o077 for file in target.rglob("*")}
    assert modes == {0}
    assert not {"local-token", "instances", "views"} & {file.name for file in target.rglob("*")}


async def test_replaced_text_is_replaced_in_the_backup_with_every_byte(root: Path) -> None:
    target = root / "backup"
    async with writing(root) as fleet:
        await fleet.session("s1")
        await fleet.back_up(target)
        assert holds(target, SECRET.encode()) == ["events.mdb"]
        await fleet.replace("s1")
        report = await fleet.back_up(target)
        assert report.position == fleet.log.head()
    assert records(target) == records(root / "data")
    assert holds(target, SECRET.encode()) == []


async def test_an_erased_session_is_erased_in_the_backup_with_every_byte(root: Path) -> None:
    target = root / "backup"
    async with writing(root) as fleet:
        await fleet.session("s1", [CONTENT])
        await fleet.session("s2", [b"kept"])
        await fleet.back_up(target)
        stored = fleet.blobs.stored(name_of(CONTENT))
        assert stored is not None
        assert holds(target, stored)
        await fleet.erase("s1")
        report = await fleet.back_up(target)
        assert report.erased_events == 7
        assert (await fleet.back_up(target)).erased_events == 0
    assert records(target) == records(root / "data")
    assert holds(target, stored) == []
    with LmdbBlobs(target) as blobs:
        assert blobs.owned("session-s1") == []
        assert blobs.get(name_of(b"kept")) == b"kept"


@pytest.mark.parametrize("part", ["origin", "records", "owners", "erased"])
@pytest.mark.parametrize("what", ["erase", "replace"])
async def test_text_that_is_erased_during_a_backup_is_not_in_it(root: Path, part: str, what: str) -> None:
    class Erasing(DirectoryReader):
        async def origin(self) -> Origin:
            return await self._then("origin", await super().origin())

        async def records(self, after: int, through: int) -> Records:
            return await self._then("records", await super().records(after, through))

        async def owners(self, after: str, digest: str) -> Owners:
            return await self._then("owners", await super().owners(after, digest))

        async def erased(self, after: str) -> ErasedStreams:
            return await self._then("erased", await super().erased(after))

        async def _then(self, name: str, found: Part) -> Part:
            if name == part and not done:
                done.append(name)
                await (fleet.erase("s1") if what == "erase" else fleet.replace("s1"))
            return found

    done = list[str]()
    async with writing(root) as fleet:
        await fleet.session("s1", [CONTENT])
        reader = Erasing(BackupSource(fleet.log, fleet.blobs, fleet.data))
        await make_backup(reader, root / "backup", told_nothing)
        await fleet.back_up(root / "backup")
    assert records(root / "backup") == records(root / "data")
    assert (done, holds(root / "backup", SECRET.encode())) == ([part], [])


async def test_a_backup_that_was_cut_off_is_continued(root: Path) -> None:
    class CutOff(DirectoryReader):
        async def owners(self, after: str, digest: str) -> Owners:
            raise ConnectionError

    async with writing(root) as fleet:
        await fleet.session("s1", [CONTENT])
        source = BackupSource(fleet.log, fleet.blobs, fleet.data)
        with pytest.raises(ConnectionError):
            await make_backup(CutOff(source), root / "backup", told_nothing)
        with pytest.raises(StartupError, match="no complete backup"):
            await restore_backup(root / "backup", root / "restored")
        report = await fleet.back_up(root / "backup")
        assert (report.new_events, report.new_contents) == (0, 1)


async def test_a_backup_that_was_cut_off_after_an_erasure_loses_its_bytes_in_the_next_run(root: Path) -> None:
    class CutOff(DirectoryReader):
        async def owners(self, after: str, digest: str) -> Owners:
            if erased:
                raise ConnectionError
            return await super().owners(after, digest)

        async def erased(self, after: str) -> ErasedStreams:
            erased.append(after)
            return await super().erased(after)

    target, erased = root / "backup", list[str]()
    async with writing(root) as fleet:
        await fleet.session("s1", [CONTENT])
        await fleet.back_up(target)
        stored = fleet.blobs.stored(name_of(CONTENT))
        assert stored is not None
        await fleet.erase("s1")
        with pytest.raises(ConnectionError):
            await make_backup(CutOff(BackupSource(fleet.log, fleet.blobs, fleet.data)), target, told_nothing)
        assert holds(target, stored) == ["blobs.mdb"]
        await fleet.back_up(target)
        assert holds(target, stored) == []


async def test_a_server_does_not_start_in_an_unfinished_backup(root: Path) -> None:
    class CutOff(DirectoryReader):
        async def records(self, after: int, through: int) -> Records:
            raise ConnectionError

    async with writing(root) as fleet:
        write_identity(fleet.data, "id-of-the-original")
        with pytest.raises(ConnectionError):
            await make_backup(CutOff(BackupSource(fleet.log, fleet.blobs, fleet.data)), root / "backup", told_nothing)
    with pytest.raises(StartupError, match="is a copy of"):
        require_home(root / "backup")


async def test_a_backup_is_refused_where_it_would_not_be_one(root: Path, other: Path) -> None:
    async with writing(root) as fleet:
        await fleet.session("s1")
        (root / "full").mkdir()
        (root / "full" / "file").touch()
        with pytest.raises(StartupError, match="is not empty, and it is no backup"):
            await fleet.back_up(root / "full")
        with pytest.raises(StartupError, match="is in the data directory"):
            await fleet.back_up(fleet.data / "backup")
        await fleet.back_up(root / "backup")
    async with writing(other) as fleet:
        with pytest.raises(StartupError, match="differs there: its data directory was restored from an older copy"):
            await fleet.back_up(root / "backup")


async def test_a_damaged_backup_is_not_restored_and_not_continued(root: Path) -> None:
    async with writing(root) as fleet:
        await fleet.session("s1")
        await fleet.back_up(root / "backup")
        file = root / "backup" / "events.mdb"
        with lmdb.open(str(file), subdir=False, lock=False, max_dbs=8) as environment:
            table = environment.open_db(b"records")
            with environment.begin(write=True, db=table) as transaction:
                raw = transaction.get((20).to_bytes(8, "big"))
                assert raw is not None
                transaction.put((20).to_bytes(8, "big"), raw[:-1] + b"!")
        with pytest.raises(StartupError, match="is damaged at position 20"):
            await restore_backup(root / "backup", root / "restored")
        assert not (root / "restored").exists()
        with pytest.raises(StartupError, match="is damaged at position 20"):
            await fleet.back_up(root / "backup")


async def test_a_stopped_data_directory_is_backed_up_and_restored(root: Path) -> None:
    async with writing(root) as fleet:
        (fleet.data / "tokens.json").write_text("{}")
        await fleet.session("s1", [CONTENT])
    data, target, restored = root / "data", root / "backup", root / "restored"
    async with reading_stopped(data) as reader:
        await make_backup(reader, target, told_nothing)
    with pytest.raises(StartupError, match=f"is a copy of {data}"):
        require_home(target)
    done = await restore_backup(target, restored)
    assert (done.directory, done.origin, done.lost) == (str(restored), str(data), 3)
    require_home(restored)
    assert (restored / "tokens.json").read_text() == "{}"
    assert (restored / "signing.key").read_bytes() == (data / "signing.key").read_bytes()
    with LmdbLog.open(restored, make_registry(), SystemClock()) as log, LmdbBlobs(restored) as blobs:
        assert not any(life.state.keeps_processes for life in lives(log))
        assert blobs.get(name_of(CONTENT)) == CONTENT
    assert records(restored)[: len(records(data))] == records(data)
    with pytest.raises(StartupError, match="is not empty"):
        await restore_backup(target, restored)


async def test_files_of_earlier_turns_can_be_read_after_a_restore(root: Path) -> None:
    (root / "project").mkdir()
    (root / "project" / "cart.py").write_text("old")
    async with writing(root) as fleet:
        tree = await GitTrees(fleet.data / "trees").take("w1", str(root / "project"))
        await fleet.back_up(root / "backup")
    await restore_backup(root / "backup", root / "restored")
    restored = GitTrees(root / "restored" / "trees")
    found = await restored.read("w1", tree, "cart.py")
    assert isinstance(found, FileContent)
    assert found.content == b"old"
    (root / "fork").mkdir()
    await restored.lay_out("w1", tree, str(root / "fork"))
    assert (root / "fork" / "cart.py").read_text() == "old"
