"""Parcels that do not arrive whole: nothing waits for them for long."""

from collections.abc import AsyncGenerator
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
    await parcels.put(name, 0, b"PACK")
    began_s = trio.current_time()
    assert [piece async for piece in parcels.follow(name)] == [b"PACK"]
    assert trio.current_time() - began_s >= PARCEL_STALL_S


async def test_git_ends_when_no_more_of_a_pack_arrives(tmp_path: Path) -> None:
    async def cut() -> AsyncGenerator[bytes]:
        yield b"PACK\0\0\0\2\0\0\0\1"

    await run("init", "--quiet", "--bare", str(tmp_path), directory="/")
    with trio.fail_after(PATIENCE_S):
        stored = await packs.index_arriving(packs.Objects(str(tmp_path)), cut())
    assert stored.code not in {0, 1}
