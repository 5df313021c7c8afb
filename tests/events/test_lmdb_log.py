"""What a log on disk does beyond the contract: survives kills, grows, and refuses what it must."""

import os
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest
import trio

import fleet.events.lmdb_store
import fleet.events.snapshot_tables
import fleet.events.writer
from fleet.errors import StartupError, Unavailable
from fleet.events.envelope import Cause, StateSnapshot
from fleet.events.lmdb_log import LmdbLog
from fleet.events.lmdb_store import FORMAT
from fleet.events.log import OutcomeUnknown
from fleet.events.verify import verify
from fleet.limits import DISK_FREE_BYTES_MIN, MIB
from tests.events.samples import Counted, Opened, lmdb_log, open_lmdb

CAUSE = Cause("local")


def append_in_process(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.events.appending_process", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def write_meta(path: Path, key: bytes, value: bytes) -> None:
    with lmdb.open(str(path / "events.mdb"), subdir=False, lock=False, max_dbs=8) as environment:
        meta = environment.open_db(b"meta")
        with environment.begin(write=True) as transaction:
            transaction.put(key, value, db=meta)


async def fill(path: Path, events: int) -> None:
    async with open_lmdb(path) as log:
        for n in range(0, events, 100):
            batch = [Counted(n + m, "x" * 100) for m in range(100)]
            await log.append(f"stream-{n % 7}", log.stream_version(f"stream-{n % 7}"), batch, CAUSE, command_id=str(n))


async def test_kill_loses_no_acknowledged_event(tmp_path: Path) -> None:
    acknowledged: dict[str, tuple[int, int]] = {}
    for lines in (1, 40, 17, 130):
        process = append_in_process(str(tmp_path))
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        seen += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        for line in seen:
            if line.endswith("\n"):
                stream, position, version = line.split()
                acknowledged[stream] = (int(position), int(version))
        async with open_lmdb(tmp_path) as log:
            report = verify(log)
            assert (report.events, report.first_break) == (log.head(), None)
            for name, (last_position, last_version) in acknowledged.items():
                assert log.stream_version(name) >= last_version
                [event] = log.read_stream(name, last_position - 1, 1)
                assert (event.position, event.version) == (last_position, last_version)
            await log.append("witness", log.stream_version("witness"), [Counted(1)], CAUSE)


async def test_the_map_grows_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet.events.lmdb_store, "MAP_BYTES_INITIAL", 128 * 1024)
    async with open_lmdb(tmp_path) as log:
        for n in range(60):
            await log.append("a", n, [Opened("x" * 20_000)], CAUSE)
            assert log.read_all(n)[0].event == Opened("x" * 20_000)
        await log.append("b", 0, [Opened("y" * 3_000_000)], CAUSE)
        assert verify(log).first_break is None
    async with open_lmdb(tmp_path) as log:
        assert log.head() == 61


async def test_writes_continue_after_a_full_disk_has_space_again(tmp_path: Path) -> None:
    free_bytes = 10 * DISK_FREE_BYTES_MIN
    async with open_lmdb(tmp_path, lambda: free_bytes) as log:
        await log.append("a", 0, [Counted(1)], CAUSE, command_id="c")
        free_bytes = DISK_FREE_BYTES_MIN - 1
        for _ in range(2):
            with pytest.raises(Unavailable) as full:
                await log.append("a", 1, [Counted(2)], CAUSE)
            assert (full.value.code, full.value.retry_after_s) == ("disk_full", 10)
        assert (await log.append("a", 0, [Counted(1)], CAUSE, command_id="c")).repeated
        assert log.head() == log.stream_version("a") == 1
        free_bytes = 10 * DISK_FREE_BYTES_MIN
        assert (await log.append("a", 1, [Counted(2)], CAUSE)).position == 2


def test_writes_continue_after_one_without_space(tmp_path: Path) -> None:
    process = append_in_process(str(tmp_path), str(2 * MIB))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    *refusals, last = output.splitlines()
    assert refusals == ["refused disk_full", "refused disk_full"]
    words = last.split()
    assert words[1] == words[3]
    assert words[-1] == "None"
    assert int(words[1]) > 10


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    process = append_in_process(str(tmp_path))
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(StartupError, match=f"in use by another Fleet .process {process.pid}.: stop that one"):
            lmdb_log(tmp_path)
    finally:
        process.kill()
        process.communicate()
    lmdb_log(tmp_path).close()


def test_a_second_opening_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fleet.lock").write_text("a longer name of an earlier holder\n")
    with lmdb_log(tmp_path), pytest.raises(StartupError, match=f"in use by another Fleet .process {os.getpid()}.:"):
        lmdb_log(tmp_path)


def test_newer_format_is_refused_and_stays_unchanged(tmp_path: Path) -> None:
    lmdb_log(tmp_path).close()
    write_meta(tmp_path, b"format", (FORMAT + 1).to_bytes(4, "big"))
    before = (tmp_path / "events.mdb").read_bytes()
    for _ in range(2):
        with pytest.raises(StartupError, match=r"has format 4, this version of Fleet reads formats 1 to 3: use"):
            lmdb_log(tmp_path)
    assert (tmp_path / "events.mdb").read_bytes() == before


async def test_the_format_without_compression_is_read_and_raised(tmp_path: Path) -> None:
    lmdb_log(tmp_path).close()
    write_meta(tmp_path, b"format", (1).to_bytes(4, "big"))
    async with open_lmdb(tmp_path) as log:
        await log.append("a", 0, [Counted(1, "x" * 1000)], Cause())
        assert log.read_stream("a")[0].event == Counted(1, "x" * 1000)


def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    environment = lmdb.open(str(tmp_path / "events.mdb"), subdir=False, lock=False)
    with environment, environment.begin(write=True) as transaction:
        transaction.put(b"cake", b"recipe")
    with pytest.raises(StartupError, match="no format number"):
        lmdb_log(tmp_path)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match=r"cannot be written .*: make it writable"):
        lmdb_log(tmp_path / "file" / "data")


def test_files_are_accessible_only_to_their_owner(tmp_path: Path) -> None:
    with lmdb_log(tmp_path / "data"):
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
        for name in ("events.mdb", "fleet.lock"):
            assert (tmp_path / "data" / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"not a database", b"\0" * 100_000])
def test_file_that_is_not_a_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "events.mdb").write_bytes(content)
    with pytest.raises(StartupError, match=r"damaged .*: restore|damaged .*Restore"):
        lmdb_log(tmp_path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.7, 0.9, 0.99])
async def test_truncated_file_is_refused_at_each_start(tmp_path: Path, share: float) -> None:
    await fill(tmp_path, 5000)
    file = tmp_path / "events.mdb"
    size_bytes = int(file.stat().st_size * share)
    with file.open("r+b") as opened:
        opened.truncate(size_bytes)
    for _ in range(2):
        with pytest.raises(StartupError, match=r"(?i)restore the data directory from a backup"):
            lmdb_log(tmp_path)
        assert file.stat().st_size == size_bytes


@pytest.mark.parametrize("unit", [b"a payload to be changed", b"sample.counted"])
async def test_bytes_changed_in_the_file_are_found(tmp_path: Path, unit: bytes) -> None:
    async with open_lmdb(tmp_path) as log:
        await log.append("a", 0, [Counted(1), Counted(2, "a payload to be changed"), Counted(3)], CAUSE)
    file = tmp_path / "events.mdb"
    content = file.read_bytes()
    file.write_bytes(content.replace(unit, unit[:-1] + b"?"))
    with lmdb_log(tmp_path) as log:
        found = verify(log).first_break
    assert found is not None


async def test_a_command_that_was_removed_is_found(tmp_path: Path) -> None:
    async with open_lmdb(tmp_path) as log:
        await log.append("a", 0, [Counted(1)], CAUSE, command_id="c")
    environment = lmdb.open(str(tmp_path / "events.mdb"), subdir=False, lock=False, max_dbs=8)
    commands = environment.open_db(b"commands")
    with environment, environment.begin(write=True) as transaction:
        assert transaction.delete(b"c", db=commands)
    with lmdb_log(tmp_path) as log:
        found = verify(log).first_break
    assert found is not None
    assert "'c' has no record" in found.reason


async def test_a_page_that_was_wiped_is_found(tmp_path: Path) -> None:
    await fill(tmp_path, 2000)
    file = tmp_path / "events.mdb"
    content = bytearray(file.read_bytes())
    at = content.index(b'{"amount":1000,') // 4096 * 4096
    content[at : at + 4096] = bytes(4096)
    file.write_bytes(content)
    with lmdb_log(tmp_path) as log:
        report = verify(log)
    assert report.first_break is not None
    assert 900 < report.events < 1000


async def test_a_file_that_lacks_only_unused_pages_is_opened(tmp_path: Path) -> None:
    async with open_lmdb(tmp_path) as log:
        # The last pages of the file are those of a snapshot that the next commit replaces.
        await log.append("a", 0, [Counted(1)], CAUSE)
        log.save_snapshot("a", StateSnapshot(1, 1, "1", b"x" * 100_000))
        await log.append("a", 1, [Counted(2)], CAUSE)
        log.save_snapshot("a", StateSnapshot(2, 2, "1", b""))
        await log.append("a", 2, [Counted(3)], CAUSE)
        await log.append("a", 3, [Counted(4)], CAUSE)
    file = tmp_path / "events.mdb"
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size - 4096)
    async with open_lmdb(tmp_path) as log:
        assert log.head() == 4
        await log.append("a", 4, [Counted(5)], CAUSE)


async def test_stop_writes_accepted_appends(tmp_path: Path) -> None:
    with lmdb_log(tmp_path) as log:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            for n in range(50):
                nursery.start_soon(log.append, f"s{n}", 0, [Counted(n)], CAUSE)
            await trio.testing.wait_all_tasks_blocked()
            log.stop()
        assert log.head() == 50
        with pytest.raises(Unavailable) as refused:
            await log.append("late", 0, [Counted(1)], CAUSE)
        assert refused.value.code == "stopping"


async def test_cancelled_writer_writes_accepted_appends(tmp_path: Path) -> None:
    with lmdb_log(tmp_path) as log:
        async with trio.open_nursery() as appenders, trio.open_nursery() as nursery:
            await nursery.start(log.run)
            for n in range(50):
                appenders.start_soon(log.append, f"s{n}", 0, [Counted(n)], CAUSE)
            await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert log.head() == 50


async def test_too_many_appends_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet.events.writer, "APPEND_QUEUE_MAX", 10)
    codes: list[str] = []

    async def append(log: LmdbLog, n: int) -> None:
        try:
            await log.append(f"s{n}", 0, [Counted(n)], CAUSE)
        except Unavailable as unavailable:
            codes.append(unavailable.code)

    async with open_lmdb(tmp_path) as log:
        async with trio.open_nursery() as nursery:
            for n in range(30):
                nursery.start_soon(append, log, n)
        assert set(codes) == {"overloaded"}
        assert log.head() == 30 - len(codes) >= 10
        assert log.statistics().waiting == log.statistics().waiting_bytes == 0


async def test_waiting_appends_share_few_commits(tmp_path: Path) -> None:
    async with open_lmdb(tmp_path) as log:
        async with trio.open_nursery() as nursery:
            for n in range(500):
                nursery.start_soon(log.append, f"s{n}", 0, [Counted(n)], CAUSE)
        statistics = log.statistics()
        assert statistics.appends == 500
        assert statistics.commits < 20


async def test_failed_writer_resumes_its_waiters_and_can_be_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = False

    def listener(_: object) -> None:
        if broken:
            raise RuntimeError("a listener with a bug")

    errors: list[Exception] = []

    async def append(log: LmdbLog, n: int) -> None:
        with pytest.raises((OutcomeUnknown, Unavailable)) as caught:
            await log.append(f"s{n}", 0, [Counted(n)], CAUSE)
        errors.append(caught.value)

    monkeypatch.setattr(fleet.events.writer, "BATCH_EVENTS_MAX", 2)
    with lmdb_log(tmp_path) as log, trio.fail_after(60):
        log.listen(listener)
        broken = True
        with pytest.raises(ExceptionGroup) as crash:  # noqa: PT012 - the writer must run while others append
            async with trio.open_nursery() as nursery:
                await nursery.start(log.run)
                async with trio.open_nursery() as appenders:
                    for n in range(5):
                        appenders.start_soon(append, log, n)
        assert crash.group_contains(RuntimeError, match="a listener with a bug")
        broken = False
        unknown = [error for error in errors if isinstance(error, OutcomeUnknown)]
        assert (len(unknown), len(errors)) == (2, 5)
        assert all(isinstance(error.__cause__, RuntimeError) for error in unknown)
        with pytest.raises(Unavailable) as refused:
            await log.append("a", 0, [Counted(1)], CAUSE)
        assert refused.value.code == "log_unavailable"
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            await log.append("a", 0, [Counted(1)], CAUSE)
            log.stop()
        assert verify(log).first_break is None


async def test_stream_versions_are_right_beyond_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet.events.lmdb_store, "STREAM_HEADS_MAX", 4)
    async with open_lmdb(tmp_path) as log:
        for version in range(3):
            for n in range(10):
                await log.append(f"s{n}", version, [Counted(n)], CAUSE)
        assert [log.stream_version(f"s{n}") for n in range(11)] == [3] * 10 + [0]


async def test_waiting_snapshots_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet.events.snapshot_tables, "SNAPSHOTS_WAITING_MAX", 2)
    async with open_lmdb(tmp_path) as log:
        for n in range(3):
            log.save_snapshot(f"s{n}", StateSnapshot(0, 0, "1", b""))
        assert [log.load_snapshot(f"s{n}") is not None for n in range(3)] == [False, True, True]
