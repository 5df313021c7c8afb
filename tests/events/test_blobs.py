"""The contract of the blob store against each implementation, and what each does beyond it."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import pytest

import fleet.events.blobs
from fleet.errors import StartupError, Unavailable
from fleet.events.blobs import CorruptBlob, name_of, pack, unpack
from fleet.events.lmdb_blobs import LmdbBlobs
from fleet.limits import DISK_FREE_BYTES_MIN
from tests.contracts.blobs_contract import BlobsContract, Stores
from tests.fakes.memory_blobs import MemoryBlobs
from tests.fakes.memory_log import MemoryDisk


class TestLmdbBlobs(BlobsContract):
    @pytest.fixture
    def opening(self, tmp_path: Path) -> Stores:
        return lambda: LmdbBlobs(tmp_path)


class TestMemoryBlobs(BlobsContract):
    @pytest.fixture
    def opening(self) -> Stores:
        disk = MemoryDisk()

        @contextmanager
        def opening() -> Generator[MemoryBlobs, None, None]:
            yield MemoryBlobs(disk)

        return opening


def test_kill_loses_no_acknowledged_blob(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    for lines in (1, 25, 60):
        command = [sys.executable, "-m", "tests.events.putting_process", str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        seen += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        acknowledged |= {line.strip() for line in seen if line.endswith("\n")}
        with LmdbBlobs(tmp_path) as blobs:
            for line in acknowledged:
                owner, digest = line.split()
                assert blobs.get(digest) is not None
                assert digest in blobs.owned(owner)


async def test_writes_continue_after_a_full_disk_has_space_again(tmp_path: Path) -> None:
    free_bytes = DISK_FREE_BYTES_MIN - 1
    with LmdbBlobs(tmp_path, free_bytes=lambda: free_bytes) as blobs:
        with pytest.raises(Unavailable) as full:
            await blobs.put("s", [b"a"])
        assert full.value.code == "disk_full"
        assert (blobs.owned("s"), blobs.get(name_of(b"a"))) == ([], None)
        free_bytes = 2 * DISK_FREE_BYTES_MIN
        await blobs.put("s", [b"a"])
        free_bytes = 0
        await blobs.forget("s")
        assert blobs.get(name_of(b"a")) is None


async def test_full_blob_store_refuses_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.events.lmdb_blobs.BLOB_MAP_BYTES", 64 * 1024)
    with LmdbBlobs(tmp_path) as blobs:
        [kept] = await blobs.put("s", [b"a"])
        with pytest.raises(Unavailable, match="reached its 65536 bytes"):
            await blobs.put("s", [bytes(n % 251 * n % 256 for n in range(200_000)), b"b"])
        assert (blobs.get(kept), blobs.get(name_of(b"b"))) == (b"a", None)


async def test_memory_store_refuses_on_a_full_disk_and_after_a_crash() -> None:
    disk = MemoryDisk()
    blobs = MemoryBlobs(disk)
    disk.full = True
    with pytest.raises(Unavailable, match="disk_full"):
        await blobs.put("s", [b"a"])
    disk.full = False
    [digest] = await blobs.put("s", [b"a"])
    blobs.crash()
    for refused in (blobs.put("s", [b"b"]), blobs.forget("s")):
        with pytest.raises(Unavailable, match="killed"):
            await refused
    assert MemoryBlobs(disk).owned("s") == [digest]
    assert MemoryBlobs(disk).get(digest) == b"a"


async def test_damaged_blob_is_reported_and_a_missing_one_is_none(tmp_path: Path) -> None:
    with LmdbBlobs(tmp_path) as blobs:
        digests = await blobs.put("s", [b"first", b"second"])
    with lmdb.open(str(tmp_path / "blobs.mdb"), subdir=False, max_dbs=4) as environment:
        contents = environment.open_db(b"contents")
        with environment.begin(write=True) as transaction:
            transaction.put(bytes.fromhex(digests[0]), pack([b"another"])[0], db=contents)
            transaction.put(bytes.fromhex(digests[1]), b"no frame", db=contents)
    with LmdbBlobs(tmp_path) as blobs:
        for digest, reason in zip(digests, ("does not match its digest", "is damaged"), strict=True):
            with pytest.raises(CorruptBlob, match=reason):
                blobs.get(digest)


def test_blob_with_a_huge_declared_size_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(1000)
    [stored] = pack([content])
    assert unpack(name_of(content), stored) == content
    monkeypatch.setattr(fleet.events.blobs, "BLOB_BYTES_MAX", 999)
    with pytest.raises(CorruptBlob, match="larger than any"):
        unpack(name_of(content), stored)


def test_file_that_is_not_a_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "blobs.mdb").write_bytes(b"not a database")
    with pytest.raises(StartupError, match=r"blobs\.mdb cannot be opened"):
        LmdbBlobs(tmp_path)


async def test_truncated_file_loses_blobs_without_killing_the_process(tmp_path: Path) -> None:
    contents = [bytes((n * m) % 253 for m in range(20_000)) for n in range(30)]
    with LmdbBlobs(tmp_path) as blobs:
        digests = await blobs.put("s", contents)
    file = tmp_path / "blobs.mdb"
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 4 * 3)
    damaged = 0
    try:
        with LmdbBlobs(tmp_path) as blobs:
            for digest, content in zip(digests, contents, strict=True):
                try:
                    assert blobs.get(digest) in (content, None)
                except CorruptBlob:
                    damaged += 1
    except StartupError:
        return  # what was cut off held the tables themselves
    assert damaged > 0


async def test_files_are_accessible_only_to_their_owner(tmp_path: Path) -> None:
    with LmdbBlobs(tmp_path / "data") as blobs:
        await blobs.put("s", [b"a"])
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
        for file in (tmp_path / "data").iterdir():
            assert file.stat().st_mode & 0o777 == 0o600
