"""What verification finds where heads were removed or signed again, and what an anchor alone finds."""

import shutil
from pathlib import Path

import msgspec
import pytest
import trio

from fleet.adapters.clock import SystemClock
from fleet.core.server import ServerStarted
from fleet.events.catalog import make_registry
from fleet.events.codec import GENESIS_DIGEST, decode, digest_of, encode, erase
from fleet.events.envelope import Cause
from fleet.events.heads import Expected
from fleet.events.lmdb_log import LmdbLog
from fleet.events.read_only import reading_directory
from fleet.events.signing import SigningKey, read_key
from fleet.events.verify import Break
from tests.events.sound import proven, table_of
from tests.fakes.memory_log import KEY


async def test_contradicted_head_that_someone_removes_is_found_by_what_the_start_recorded(
    sound: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "data"
    shutil.copytree(sound, directory)
    with table_of(directory / "events.mdb", "meta") as (_, put):
        put(b"head", msgspec.msgpack.encode(KEY.sign(9, bytes(32), 1)))
    with LmdbLog.open(directory, make_registry(), SystemClock()) as log:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            contradicted = log.heads().contradicted
            assert contradicted is not None
            start = ServerStarted(
                run_id="r", version="1", configuration="", contradicted_head=contradicted.position, at_ms=1
            )
            await log.append("server-fleet", log.stream_version("server-fleet"), [start], Cause("local"))
            log.stop()
    found = (await proven(directory)).first_break
    assert found is not None
    assert "the head that an earlier run signed" in found.reason
    with table_of(directory / "events.mdb", "meta") as (_, put):
        put(b"contradicted head", None)
    found = (await proven(directory)).first_break
    assert found is not None
    assert (found.position, "that head was removed since" in found.reason) == (9, True)


@pytest.mark.parametrize("stored", [None, b"?"])
async def test_log_without_its_signed_head_is_not_intact(sound: Path, tmp_path: Path, stored: bytes | None) -> None:
    shutil.copytree(sound, tmp_path / "data")
    with table_of(tmp_path / "data" / "events.mdb", "meta") as (_, put):
        put(b"head", stored)
    found = (await proven(tmp_path / "data")).first_break
    assert found is not None
    assert "no signed head covers event" in found.reason


def rewrite(directory: Path, key: SigningKey) -> None:
    """Change an event, compute the chain again and sign it, as a thief of the key can."""
    digest, at_ms = GENESIS_DIGEST, 0
    with table_of(directory / "events.mdb", "records") as (entries, put):
        for position, stored in sorted(entries.items()):
            record = decode(stored)
            actor = "token:mallory" if position == (4).to_bytes(8, "big") else record.header.actor
            header = msgspec.structs.replace(record.header, actor=actor, previous_digest=digest)
            rewritten, digest = encode(header, record.salt, record.payload)
            put(position, erase(rewritten + bytes(16)) if record.erased else rewritten)
    with table_of(directory / "events.mdb", "meta") as (_, put):
        put(b"head", msgspec.msgpack.encode(key.sign(len(entries), digest, at_ms)))


async def test_rewritten_and_signed_chain_is_found_by_an_anchor_alone(sound: Path, tmp_path: Path) -> None:
    directory = tmp_path / "data"
    shutil.copytree(sound, directory)
    shutil.rmtree(directory / "views")
    with reading_directory(directory, make_registry()) as log:
        anchors = [
            Expected(position, digest_of(log.read_record(position) or b"").hex(), "an anchor") for position in (2, 9)
        ]
    key = read_key(directory)
    assert key is not None
    rewrite(directory, key)
    unanchored = await proven(directory)
    assert "snapshots" in (unanchored.first_break or Break(0, "snapshots")).reason
    anchored = (await proven(directory, anchors)).first_break
    assert anchored is not None
    assert (anchored.position, "an anchor names this event" in anchored.reason) == (9, True)
