"""Whatever is changed in a data directory, it is found, or it is not used."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import msgspec
import pytest

from fleet.events.batch import LogEnd
from fleet.events.codec import GENESIS_DIGEST
from fleet.events.envelope import Cause, StateSnapshot
from fleet.projections.store import LmdbViewStore
from tests.events.samples import Counted, open_lmdb
from tests.fakes.memory_log import KEY

Put = Callable[[bytes, bytes | None], None]
SNAPSHOT = StateSnapshot(2, 2, "counter", b"two")


@contextmanager
def table_of(file: Path, name: str) -> Iterator[tuple[dict[bytes, bytes], Put]]:
    """Open a table of a stopped Fleet, as something else than Fleet could: its entries, and how to change them."""
    environment = lmdb.open(str(file), subdir=file.is_dir(), lock=False, max_dbs=16)
    table = environment.open_db(name.encode(), create=False)
    with environment.begin(write=True, db=table) as transaction:
        entries = {bytes(key): bytes(value) for key, value in transaction.cursor()}

        def put(key: bytes, value: bytes | None) -> None:
            if value is None:
                transaction.delete(key)
            else:
                transaction.put(key, value)

        yield entries, put
    environment.close()


# -------------------------------------------------------------------------------------------------- disposable data


async def with_snapshots(path: Path) -> None:
    async with open_lmdb(path) as log:
        await log.append("a", 0, [Counted(n) for n in range(3)], Cause())
        log.save_snapshot("a", SNAPSHOT)
        log.save_snapshot("b", StateSnapshot(1, 3, "counter", b"one"))
        log.keep_snapshot("a", StateSnapshot(1, 1, "counter", b"one"))
        await log.append("c", 0, [Counted(1)], Cause())


def forged(stored: bytes, **changes: object) -> bytes:
    names = ("version", "position", "schema", "state", "seal")
    fields = dict(zip(names, msgspec.msgpack.decode(stored), strict=True)) | changes
    return msgspec.msgpack.encode(list(fields.values()))


@pytest.mark.parametrize(
    "changes",
    [{"state": b"2"}, {"version": 3}, {"position": 3}, {"schema": "other"}, {"seal": b""}, {"seal": bytes(16)}],
)
async def test_forged_snapshot_is_not_loaded(
    tmp_path: Path, changes: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    await with_snapshots(tmp_path)
    async with open_lmdb(tmp_path) as log:
        assert log.load_snapshot("a") == SNAPSHOT
    with table_of(tmp_path / "events.mdb", "snapshots") as (entries, put):
        put(b"a", forged(entries[b"a"], **changes))
    with table_of(tmp_path / "events.mdb", "past") as (entries, put):
        for key, stored in entries.items():
            put(key, forged(stored, **changes))
    async with open_lmdb(tmp_path) as log:
        assert [log.load_snapshot("a", at) for at in (None, None, 2, 1)] == [None] * 4
        assert log.load_snapshot("b") is not None
    assert capsys.readouterr().out.count("snapshot_not_of_this_log") in (1, 2)


async def test_snapshot_of_another_stream_or_log_is_not_loaded(tmp_path: Path) -> None:
    await with_snapshots(tmp_path / "one")
    await with_snapshots(tmp_path / "two")
    with table_of(tmp_path / "one" / "events.mdb", "snapshots") as (entries, put):
        put(b"c", entries[b"a"])
        with table_of(tmp_path / "two" / "events.mdb", "snapshots") as (_, put_two):
            put_two(b"a", entries[b"a"])
    async with open_lmdb(tmp_path / "one") as log:
        assert (log.load_snapshot("a"), log.load_snapshot("c")) == (SNAPSHOT, None)
    async with open_lmdb(tmp_path / "two") as log:
        assert (log.load_snapshot("a"), log.load_snapshot("b") is None) == (None, False)


def digest_at(position: int) -> bytes:
    return GENESIS_DIGEST if position == 0 else bytes([position]) * 32


def rows_in(path: Path, at: Callable[[int], bytes | None] = digest_at) -> tuple[int, dict[str, bytes]]:
    store = LmdbViewStore(path, KEY.sealer)
    position, rows = store.load("pet", "1", at)
    loaded = dict(rows)
    if not position:  # it is folded again
        store.save("pet", "1", LogEnd(9, digest_at(9)), {"new": b"1"})
        assert dict(store.load("pet", "1", digest_at)[1]) == {"new": b"1"}
    store.close()
    return position, loaded


def save(path: Path, position: int, rows: dict[str, bytes], gone: tuple[str, ...] = ()) -> None:
    store = LmdbViewStore(path, KEY.sealer)
    store.load("pet", "1", digest_at)
    store.save("pet", "1", LogEnd(position, digest_at(position)), rows, gone)
    store.close()


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("pet", b"cat", b"forged"),
        ("pet", b"cat", None),
        ("pet", b"cow", b"added"),
        ("pet", b"dog", b"Max"),  # an earlier row
        ("checkpoints", b"pet", b"7 1"),
    ],
)
def test_rows_that_were_changed_are_folded_again(
    tmp_path: Path, table: str, key: bytes, value: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, 4, {"cat": b"Mimi", "dog": b"Max", "pig": b"Piggy"})
    save(tmp_path, 7, {"dog": b"Rex"}, ("pig",))
    assert rows_in(tmp_path) == (7, {"cat": b"Mimi", "dog": b"Rex"})
    with table_of(tmp_path, table) as (_, put):
        put(key, value)
    assert rows_in(tmp_path) == (0, {})
    assert capsys.readouterr().out.count("view_not_of_this_log") == 1


def test_rows_of_another_log_are_folded_again(tmp_path: Path) -> None:
    save(tmp_path, 4, {"cat": b"Mimi"})
    assert rows_in(tmp_path, lambda _: None) == (0, {})
    save(tmp_path, 4, {"cat": b"Mimi"})
    assert rows_in(tmp_path, lambda _: bytes(32)) == (0, {})
