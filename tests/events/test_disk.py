"""A disk that is full: what is refused, what is taken all the same, and the space that is held back for that."""

import errno
import os
import resource
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb
import pytest
import trio

from fleet.composition.stores import has_room
from fleet.errors import StartupError, Unavailable
from fleet.events.blobs import name_of
from fleet.events.catalog import NAMES, ON_FULL_DISK
from fleet.events.disk import Disk
from fleet.events.envelope import Cause
from fleet.events.lmdb_blobs import LmdbBlobs
from fleet.events.lmdb_log import LmdbLog
from fleet.events.lmdb_store import LmdbStore
from fleet.events.verify import verify
from fleet.gateway.server.tokens import local_token
from fleet.limits import DISK_FREE_BYTES_MIN, DISK_REUSABLE_BYTES_MIN, MIB, START_BYTES_MIN
from fleet.private_files import read_local_token
from fleet.projections.store import LmdbViewStore as ViewStore
from tests.events.samples import Counted, Opened, sample_registry
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import KEY

CAUSE = Cause("test")
RESERVE_BYTES = MIB
NO_SPACE = lmdb.DiskError("mdb_txn_commit: No space left on device")


class Ended(Opened, frozen=True):
    pass


class Space:
    """What a test says is free."""

    def __init__(self, free_bytes: int = 10 * DISK_FREE_BYTES_MIN) -> None:
        self.free_bytes = free_bytes

    def __call__(self) -> int:
        return self.free_bytes


def open_log(path: Path, space: Space) -> LmdbLog:
    registry = sample_registry()
    registry.register(Ended, "sample.ended", on_full_disk=True)
    return LmdbLog.open(path, registry, FakeClock(), free_bytes=space, reserve_bytes=RESERVE_BYTES)


def none() -> int:
    return 0


@contextmanager
def limited() -> Generator[None]:
    """Let nothing be written to any file."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def refuses(disk: Disk, size_bytes: int = 1, reusable: Callable[[], int] = none) -> bool:
    try:
        disk.check(size_bytes, reusable)
    except Unavailable as full:
        return full.code == "disk_full"
    return False


def test_events_for_a_full_disk_are_registered() -> None:
    assert NAMES.keys() > ON_FULL_DISK


def test_start_on_a_full_disk_releases_the_reserve(tmp_path: Path) -> None:
    file = tmp_path / "reserve"
    Disk(tmp_path, Space(), reserve_bytes=RESERVE_BYTES)
    assert file.stat().st_blocks * 512 >= RESERVE_BYTES
    Disk(tmp_path, Space(RESERVE_BYTES), reserve_bytes=RESERVE_BYTES)
    assert file.exists()
    space = Space(0)
    disk = Disk(tmp_path, space, reserve_bytes=RESERVE_BYTES)
    assert not file.exists()
    assert refuses(disk)
    space.free_bytes = DISK_FREE_BYTES_MIN + 1
    assert not refuses(disk)
    assert not file.exists(), "it would take what others need"
    space.free_bytes = 10 * DISK_FREE_BYTES_MIN
    assert not refuses(disk)
    assert file.stat().st_size == RESERVE_BYTES


def test_start_without_room_and_reserve_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = Space(0)

    def free_bytes(_: Path) -> int:
        return space()

    monkeypatch.setattr("fleet.events.disk._free_bytes", free_bytes)
    assert has_room(tmp_path), "a first start says which file has no room"
    (tmp_path / "events.mdb").touch()
    assert not has_room(tmp_path)
    (tmp_path / "reserve").write_bytes(bytes(START_BYTES_MIN))
    assert has_room(tmp_path)
    (tmp_path / "reserve").unlink()
    space.free_bytes = START_BYTES_MIN
    assert has_room(tmp_path)


def test_partial_reserve_after_a_crash_is_not_a_reserve(tmp_path: Path) -> None:
    (tmp_path / "reserve").write_bytes(b"x")
    Disk(tmp_path, Space(0), reserve_bytes=RESERVE_BYTES)
    assert not (tmp_path / "reserve").exists()
    (tmp_path / "reserve").touch()
    Disk(tmp_path, Space(), reserve_bytes=RESERVE_BYTES)
    assert (tmp_path / "reserve").stat().st_size == RESERVE_BYTES


def test_log_restores_the_reserve_that_the_blob_store_used(tmp_path: Path) -> None:
    log = Disk(tmp_path, Space(), reserve_bytes=RESERVE_BYTES)
    blobs = Disk(tmp_path, Space())
    assert blobs.give_up_reserve()
    log.check(1, lambda: 0)
    assert (tmp_path / "reserve").stat().st_size == RESERVE_BYTES


def test_exceeded_quota_counts_as_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(tmp_path, Space(), reserve_bytes=RESERVE_BYTES)
    assert disk.give_up_reserve()
    assert not disk.give_up_reserve()

    def exceeded(*_: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with monkeypatch.context() as patch:
        patch.setattr("os.posix_fallocate", exceeded)
        assert refuses(disk)
        assert not (tmp_path / "reserve").exists()
    assert not refuses(disk)


def test_free_space_inside_the_file_counts(tmp_path: Path) -> None:
    disk = Disk(tmp_path, Space(0))
    assert refuses(disk, 10, lambda: DISK_REUSABLE_BYTES_MIN + 19)
    assert not refuses(disk, 10, lambda: DISK_REUSABLE_BYTES_MIN + 20)


async def test_full_disk_accepts_only_events_that_end_something(tmp_path: Path) -> None:
    space = Space()
    refused: list[str] = []

    async def append(stream: str, event: object, command_id: str | None = None) -> None:
        try:
            await log.append(stream, log.stream_version(stream), [event], CAUSE, command_id=command_id)
        except Unavailable as full:
            refused.append(f"{stream} {full.code}")

    with open_log(tmp_path, space) as log:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            await append("a", Counted(1), "known")
            space.free_bytes = 0
            async with trio.open_nursery() as at_once:
                at_once.start_soon(append, "b", Counted(2))
                at_once.start_soon(append, "c", Ended("c"))
                at_once.start_soon(append, "d", Opened("d"))
            assert sorted(refused) == ["b disk_full", "d disk_full"]
            assert log.statistics().refuses
            assert (await log.append("a", 0, [Counted(1)], CAUSE, command_id="known")).repeated
            assert [recorded.stream for recorded in log.read_all()] == ["a", "c"]
            assert verify(log).first_break is None
            space.free_bytes = 10 * DISK_FREE_BYTES_MIN
            await append("b", Counted(2))
            assert not log.statistics().refuses
            log.stop()


async def test_reserve_is_released_when_lmdb_finds_no_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = LmdbStore.begin_commit

    def begin_commit(self: LmdbStore, *arguments: Any, **named: Any) -> Callable[[], None]:
        if (tmp_path / "reserve").exists():
            raise NO_SPACE
        return commit(self, *arguments, **named)

    with open_log(tmp_path, Space()) as log:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            monkeypatch.setattr(LmdbStore, "begin_commit", begin_commit)
            with pytest.raises(Unavailable):
                await log.append("a", 0, [Counted(1)], CAUSE)
            assert (tmp_path / "reserve").exists()
            await log.append("a", 0, [Ended("a")], CAUSE)
            assert not (tmp_path / "reserve").exists()
            assert log.head() == 1
            log.stop()


async def test_blobs_are_deleted_on_a_full_disk_with_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Disk(tmp_path, Space(), reserve_bytes=RESERVE_BYTES)
    with LmdbBlobs(tmp_path) as blobs:
        await blobs.put("s", [b"a"])
        discard = LmdbBlobs._discard

        def fails(self: LmdbBlobs, *arguments: object) -> None:
            if (tmp_path / "reserve").exists():
                raise NO_SPACE
            discard(self, *arguments)  # type: ignore[arg-type]  # passed on as it came

        monkeypatch.setattr(LmdbBlobs, "_discard", fails)
        await blobs.forget("s")
        assert blobs.get(name_of(b"a")) is None


@pytest.mark.usefixtures("capsys")
def test_server_on_a_full_disk_runs_without_a_local_token(tmp_path: Path) -> None:
    (tmp_path / "local-token").write_text("of the last run")
    with limited(), local_token(tmp_path) as text:
        assert text
        assert read_local_token(tmp_path) is None


def test_first_start_on_a_full_disk_says_what_to_do(tmp_path: Path) -> None:
    """Each file of the data directory may be the one that has no room."""
    said: list[str] = []
    views = tmp_path / "views"
    with limited():
        for start in (
            lambda: open_log(tmp_path, Space()),
            lambda: LmdbBlobs(tmp_path),
            lambda: ViewStore(views, KEY.sealer),
        ):
            with pytest.raises(StartupError) as refused:
                start()
            said.append(str(refused.value))
    assert all(each.endswith(": free space on its disk, then start Fleet again.") for each in said), said
