"""Parcels that do not arrive whole: nothing waits for them for long."""

import os
from pathlib import Path

import pytest
import trio

from fleet.adapters.git import packs
from fleet.adapters.git.command import run
from fleet.adapters.git.parcels import Parcels
from fleet.limits import PARCEL_STALL_S
from tests.patience import PATIENCE_S


async def test_a_parcel_whose_sender_died_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: object
) -> None:
    monkeypatch.setattr("fleet.adapters.git.parcels.PARCEL_POLL_S", PARCEL_STALL_S / 4)
    parcels, name = Parcels(tmp_path), "0" * 64
    await parcels.put(name, 0, memoryview(b"PACK"))
    reading, writing = os.pipe()
    began_s = trio.current_time()
    await parcels.follow(name, writing)
    assert trio.current_time() - began_s >= PARCEL_STALL_S
    os.close(writing)
    with os.fdopen(reading, "rb") as arrived:
        assert arrived.read() == b"PACK"


async def test_a_parcel_waits_for_a_git_that_reads_more_slowly_than_it_arrives(tmp_path: Path) -> None:
    parcels, name, content = Parcels(tmp_path), "0" * 64, os.urandom(3 << 20)
    await parcels.put(name, 0, memoryview(content)[: 1 << 20])
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with os.fdopen(reading, "rb") as pipe, trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(parcels.follow, name, writing)
            arrived = await trio.to_thread.run_sync(pipe.read, 10)
            await parcels.put(name, 1 << 20, memoryview(content)[1 << 20 :])
            arrived += await trio.to_thread.run_sync(pipe.read, len(content) - 10)
            nursery.cancel_scope.cancel()
    os.close(writing)
    assert arrived == content


async def test_git_ends_when_no_more_of_a_pack_arrives(tmp_path: Path) -> None:
    async def cut(pipe: int) -> None:
        await trio.lowlevel.checkpoint()
        os.write(pipe, b"PACK\0\0\0\2\0\0\0\1")

    await run("init", "--quiet", "--bare", str(tmp_path), directory="/")
    with trio.fail_after(PATIENCE_S):
        stored = await packs.index_arriving(packs.Objects(str(tmp_path)), cut)
    assert stored.code not in {0, 1}
