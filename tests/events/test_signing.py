"""Each commit stores a signed head of the log: what is changed after it, the last event included, is found."""

from collections.abc import Callable
from pathlib import Path

import lmdb
import msgspec
import pytest

from fleet.errors import StartupError
from fleet.events.codec import encode, read_header
from fleet.events.envelope import Cause
from fleet.events.heads import Expected
from fleet.events.lmdb_log import LmdbLog
from fleet.events.signing import SigningKey, is_signed, read_public_key
from fleet.events.verify import compare_heads, verify
from fleet.wire.audit import SignedHead
from tests.events.samples import Counted, open_lmdb


async def grown(path: Path, events: int) -> SignedHead:
    """Append so many events and return the head that the log has then."""
    async with open_lmdb(path) as log:
        for _ in range(events):
            version = log.stream_version("a")
            await log.append("a", version, [Counted(version)], Cause("local"), command_id=f"c{version}")
        head = log.heads().last
        assert head is not None
        return head


def tampered(path: Path, change: Callable[[lmdb.Transaction, Callable[[str], lmdb._Database]], None]) -> None:
    """Change tables of a stopped log as something else than Fleet could."""
    environment = lmdb.open(str(path / "events.mdb"), subdir=False, lock=False, max_dbs=8)
    with environment.begin(write=True) as transaction:
        change(transaction, lambda name: environment.open_db(name.encode(), txn=transaction, create=False))
    environment.close()


def cut(transaction: lmdb.Transaction, table: Callable[[str], lmdb._Database]) -> None:
    for name in ("records", "index", "commands"):
        cursor = transaction.cursor(table(name))
        assert cursor.last()
        cursor.delete()


def change_last(transaction: lmdb.Transaction, table: Callable[[str], lmdb._Database]) -> None:
    cursor = transaction.cursor(table("records"))
    assert cursor.last()
    raw = bytes(cursor.value())
    end = 4 + int.from_bytes(raw[:4], "big")
    header = msgspec.structs.replace(read_header(raw[4:end])[0], actor="token:somebody")
    cursor.put(cursor.key(), encode(header, raw[end : end + 16], raw[end + 16 :])[0])


def unsign(transaction: lmdb.Transaction, table: Callable[[str], lmdb._Database]) -> None:
    transaction.delete(b"head", db=table("meta"))


def spoil_head(transaction: lmdb.Transaction, table: Callable[[str], lmdb._Database]) -> None:
    transaction.put(b"head", b"\x93no head", db=table("meta"))


def broken(log: LmdbLog, *expected: Expected) -> tuple[int, str]:
    found = verify(log, expected).first_break
    assert found is not None
    assert compare_heads(log, expected).first_break == found
    return found.position, found.reason


async def test_each_commit_stores_a_signed_head(tmp_path: Path) -> None:
    first = await grown(tmp_path, 3)
    assert (first.position, first.key) == (3, read_public_key(tmp_path))
    assert is_signed(first)
    for forged in (
        msgspec.structs.replace(first, position=2),
        msgspec.structs.replace(first, digest="00" * 32),
        msgspec.structs.replace(first, signed_at_ms=0),
        msgspec.structs.replace(first, key=SigningKey(bytes(32)).public),
        msgspec.structs.replace(first, signature="?"),
    ):
        assert not is_signed(forged)
    async with open_lmdb(tmp_path) as log:
        assert log.heads() == (first.key, first, None)
        assert verify(log).head == first
        assert (log.sign(2) or first).position == 2
        assert is_signed(log.sign(2) or first)
    assert (tmp_path / "signing.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("change", "position", "reason"),
    [
        (cut, 4, "names event 4, but the log ends at 3"),
        (change_last, 4, "names this event with another digest"),
    ],
)
async def test_an_end_that_was_changed_between_two_runs_is_found_in_all_later_runs(
    tmp_path: Path, change: Callable[..., None], position: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await grown(tmp_path, 4)
    tampered(tmp_path, change)
    for _ in range(2):
        async with open_lmdb(tmp_path) as log:
            found = broken(log)
            assert found[0] == position
            assert reason in found[1]
    assert "log_changed_outside_fleet" in capsys.readouterr().out
    await grown(tmp_path, 2)
    async with open_lmdb(tmp_path) as log:
        assert broken(log)[0] == 4


async def test_a_log_without_head_and_key_is_signed_at_the_next_start(tmp_path: Path) -> None:
    await grown(tmp_path, 2)
    tampered(tmp_path, unsign)
    (tmp_path / "signing.key").unlink()
    async with open_lmdb(tmp_path) as log:
        head = log.heads().last
        assert head is not None
        assert is_signed(head)
        assert verify(log).first_break is None


@pytest.mark.parametrize("remove", [unsign, spoil_head])
async def test_a_head_that_was_removed_is_not_replaced_by_another_one(
    tmp_path: Path, remove: Callable[..., None]
) -> None:
    await grown(tmp_path, 4)
    tampered(tmp_path, cut)
    tampered(tmp_path, remove)
    for _ in range(2):
        await grown(tmp_path, 1)
        async with open_lmdb(tmp_path) as log:
            assert broken(log)[1] == "the head of event 3 was removed between two runs of a server"


async def test_a_copy_that_is_older_than_an_expected_event_is_found(tmp_path: Path) -> None:
    old = await grown(tmp_path, 2)
    backup = (tmp_path / "events.mdb").read_bytes()
    new = await grown(tmp_path, 2)
    expected = [Expected(head.position, head.digest, "an anchor") for head in (old, new)]
    async with open_lmdb(tmp_path) as log:
        assert verify(log, expected).first_break is None
        assert compare_heads(log, expected).first_break is None
        assert broken(log, Expected(3, "00" * 32, "an anchor"))[0] == 3
    (tmp_path / "events.mdb").write_bytes(backup)
    async with open_lmdb(tmp_path) as log:
        assert verify(log).first_break is None
        assert broken(log, *expected) == (
            3,
            "an anchor names event 4, but the log ends at 2: its end was cut off",
        )
    await grown(tmp_path, 2)  # the same events again
    async with open_lmdb(tmp_path) as log:
        assert broken(log, *expected)[0] == 4


async def test_a_head_of_another_key_is_found(tmp_path: Path) -> None:
    await grown(tmp_path, 2)
    (tmp_path / "signing.key").unlink()
    async with open_lmdb(tmp_path) as log:
        assert broken(log) == (3, "the head of event 2 is not signed by this log's key")
    (tmp_path / "signing.key").write_text("nothing")
    with pytest.raises(StartupError, match="signing key"):
        async with open_lmdb(tmp_path):
            pass
