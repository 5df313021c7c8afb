"""Every change in a data directory is found, or what was changed is not used."""

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import msgspec
import pytest
import trio

from fleet.adapters.clock import SystemClock
from fleet.core.server import BackupMade
from fleet.errors import StartupError
from fleet.events.batch import LogEnd
from fleet.events.catalog import make_registry
from fleet.events.codec import GENESIS_DIGEST, erase
from fleet.events.envelope import Cause, StateSnapshot
from fleet.events.lmdb_log import LmdbLog
from fleet.events.read_only import reading_directory
from fleet.events.unchanged_log import UnchangedLog
from fleet.events.verify import verify
from fleet.limits import VERIFY_PAGE_EVENTS
from fleet.projections.proof import CHAIN, DERIVED
from fleet.projections.store import LmdbViewStore
from tests.core.sessions import STOPPED
from tests.events.samples import Counted, open_lmdb
from tests.events.sound import Put, proven, table_of
from tests.fakes.memory_log import KEY

SNAPSHOT = StateSnapshot(2, 2, "counter", b"two")


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


def test_rows_are_looked_at_in_steps_and_as_of_one_moment(tmp_path: Path) -> None:
    rows = {f"{number:04}": b"before" for number in range(3 * VERIFY_PAGE_EVENTS)}
    save(tmp_path, 4, rows)
    with closing(LmdbViewStore(tmp_path, KEY.sealer)) as store:
        look, found, steps = store.look("pet", "1", digest_at), None, 0
        while found is None:
            try:
                next(look)
            except StopIteration as end:
                found = end.value
            else:
                steps += 1
                store.save("pet", "1", LogEnd(4 + steps, digest_at(4 + steps)), {"0383": b"after"})
    assert (steps, found.position, found.sealed, dict(found.rows)) == (3, 4, True, rows)


def test_rows_of_another_log_are_folded_again(tmp_path: Path) -> None:
    save(tmp_path, 4, {"cat": b"Mimi"})
    assert rows_in(tmp_path, lambda _: None) == (0, {})
    save(tmp_path, 4, {"cat": b"Mimi"})
    assert rows_in(tmp_path, lambda _: bytes(32)) == (0, {})


# ------------------------------------------------------------------------------------------- a whole data directory


async def test_sound_directory_is_proven(sound: Path) -> None:
    found = await proven(sound)
    assert found.first_break is None
    assert found.checked == (*CHAIN, *DERIVED)
    assert [(each.stream, each.actor, each.erased) for each in found.erasures] == [
        ("session-gone", "token:alice", len(STOPPED) + 1)
    ]


async def test_copy_without_the_key_is_proven_by_a_fold(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, tmp_path / "data")
    (tmp_path / "data" / "signing.key").unlink()
    assert (await proven(tmp_path / "data")).first_break is None
    with table_of(tmp_path / "data" / "events.mdb", "snapshots") as (entries, put):
        forge_snapshot(entries, put)
    found = (await proven(tmp_path / "data")).first_break
    assert found is not None
    assert "snapshots session-" in found.reason


def first_key(entries: dict[bytes, bytes], *, holding: bytes = b"") -> bytes:
    return next(key for key, value in sorted(entries.items()) if holding in value)


def forge_snapshot(entries: dict[bytes, bytes], put: Put) -> None:
    key = first_key(entries)
    put(key, forged(entries[key], state=msgspec.msgpack.decode(entries[key])[3] + b"?"))


def forge_row(entries: dict[bytes, bytes], put: Put) -> None:
    key = first_key(entries)
    put(key, entries[key] + b"?")


def put_back_row(entries: dict[bytes, bytes], put: Put) -> None:
    keys = sorted(entries)
    put(keys[0], entries[keys[1]])


def remove(entries: dict[bytes, bytes], put: Put) -> None:
    put(first_key(entries), None)


def lead_astray(entries: dict[bytes, bytes], put: Put) -> None:
    put(b"session-other\0" + (3).to_bytes(8, "big"), (1).to_bytes(8, "big"))


def lead_beyond(entries: dict[bytes, bytes], put: Put) -> None:
    put(b"session-other\0" + (9999).to_bytes(8, "big"), (1).to_bytes(8, "big"))


def invent_command(entries: dict[bytes, bytes], put: Put) -> None:
    put(b"invented", msgspec.msgpack.encode(("session-other", 5, 1, b"")))


def change_command(entries: dict[bytes, bytes], put: Put) -> None:
    stream, position, version, _ = msgspec.msgpack.decode(entries[b"c"])
    put(b"c", msgspec.msgpack.encode((stream, position, version + 1, b"erased")))


def damage(entries: dict[bytes, bytes], put: Put) -> None:
    for key, value in entries.items():
        put(key, value[:-1] + bytes([value[-1] ^ 1]))


def mark_as_erased(entries: dict[bytes, bytes], put: Put) -> None:
    put((4).to_bytes(8, "big"), erase(entries[(4).to_bytes(8, "big")]))


def slip_in(entries: dict[bytes, bytes], put: Put) -> None:
    put((4).to_bytes(8, "big") + b"\0", entries[(5).to_bytes(8, "big")])


@pytest.mark.parametrize(
    ("file", "table", "change", "reason"),
    [
        ("events.mdb", "snapshots", forge_snapshot, "snapshots session-"),
        ("views", "session", forge_row, "session "),
        ("views", "session", put_back_row, "session "),
        ("views", "session", remove, "it is not stored"),
        ("views", "checkpoints", remove, None),
        ("events.mdb", "index", remove, "the index does not lead"),
        ("events.mdb", "index", lead_astray, "which is not of that stream"),
        ("events.mdb", "index", lead_beyond, "which is not of that stream"),
        ("events.mdb", "commands", invent_command, "which is not of it"),
        ("events.mdb", "commands", change_command, "leads to another event"),
        ("events.mdb", "commands", remove, "has no record"),
        ("events.mdb", "records", mark_as_erased, "marked as erased"),
        ("events.mdb", "records", slip_in, "second record"),
        ("blobs.mdb", "contents", remove, "is missing"),
        ("blobs.mdb", "contents", damage, "digest"),
        ("blobs.mdb", "owned", remove, "is missing"),
    ],
)
async def test_what_is_changed_is_found_with_its_position(
    sound: Path, tmp_path: Path, file: str, table: str, change: Callable[..., None], reason: str | None
) -> None:
    shutil.copytree(sound, tmp_path / "data")
    with table_of(tmp_path / "data" / file, table) as (entries, put):
        change(entries, put)
    found = (await proven(tmp_path / "data")).first_break
    if reason is None:  # rows without a checkpoint are not used
        assert found is None
        return
    assert found is not None
    assert found.position > 0
    assert reason in found.reason


async def test_record_behind_the_end_is_refused(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, tmp_path / "data")
    with table_of(tmp_path / "data" / "events.mdb", "records") as (entries, put):
        last = max(entries)
        put((int.from_bytes(last, "big") + 1).to_bytes(8, "big"), entries[last])
    with pytest.raises(StartupError, match="a record of no position"):
        await proven(tmp_path / "data")


class Flipped(UnchangedLog):
    """A log with one bit of one record changed."""

    at = byte = 0

    def read_record(self, position: int) -> bytes | None:
        raw = super().read_record(position)
        if position != self.at or raw is None:
            return raw
        return raw[: self.byte] + bytes([raw[self.byte] ^ (1 << self.byte % 8)]) + raw[self.byte + 1 :]


def test_each_flipped_bit_of_a_record_is_found_at_it_or_right_behind_it(sound: Path) -> None:
    with reading_directory(sound, make_registry()) as log:
        flipped, seed = Flipped(log._store, make_registry()), Random(0)
        assert verify(flipped).first_break is None
        head = log.head()
        positions = [1, 2, head - 1, head, *seed.sample(range(3, head - 1), 6)]
        for flipped.at in positions:
            raw = log.read_record(flipped.at) or b""
            for flipped.byte in {0, 3, len(raw) - 1, *seed.sample(range(len(raw)), min(len(raw), 30))}:
                found = verify(flipped).first_break
                assert found is not None, (flipped.at, flipped.byte)
                assert found.position in (flipped.at, flipped.at + 1), (flipped.at, flipped.byte, found)


async def test_forged_snapshot_of_an_aggregate_without_a_view_is_found(sound: Path, tmp_path: Path) -> None:
    directory = tmp_path / "data"
    shutil.copytree(sound, directory)
    event = BackupMade(directory="/backup", through=1, at_ms=1)
    with LmdbLog.open(directory, make_registry(), SystemClock()) as log:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            await log.append("server-fleet", 0, [event], Cause())
            log.stop()
    with table_of(directory / "events.mdb", "snapshots") as (entries, put):
        put(b"server-fleet", forged(entries[first_key(entries)], version=1))
    found = (await proven(directory)).first_break
    assert found is not None
    assert "snapshots server-fleet" in found.reason


async def test_search_for_entries_without_an_event_pauses_and_survives_commits(tmp_path: Path) -> None:
    async with open_lmdb(tmp_path) as log:
        await log.append("a", 0, [Counted(n) for n in range(3 * VERIFY_PAGE_EVENTS)], Cause(), command_id="a")
    with table_of(tmp_path / "events.mdb", "commands") as (_, put):
        put(b"invented", msgspec.msgpack.encode(("a", 5, 5, b"")))
    async with open_lmdb(tmp_path) as log:
        search = log.find_surplus()
        for _ in range(6):  # three pages of records, and three of the index
            assert next(search) is None
            await log.append("b", log.stream_version("b"), [Counted(1)], Cause())
        found = [each for each in search if each is not None]
        assert [each.position for each in found] == [5]
