"""What every `Blobs` does. tests/events/test_blobs.py runs this class against each implementation."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import trio

import fleet.events.blobs
from fleet.events.blobs import name_of

Stores = Callable[[], AbstractContextManager[Any]]
"""Opens one and the same store again and again, one at a time."""


class BlobsContract:
    """Subclasses give the fixture `opening`."""

    @pytest.fixture
    def opening(self) -> Stores:
        raise NotImplementedError

    async def test_what_is_put_is_got_also_after_a_restart(self, opening: Stores) -> None:
        contents = [b"", b"a", bytes(range(256)) * 1000, "é\r\n".encode()]
        with opening() as blobs:
            digests = await blobs.put("s", contents)
            assert digests == [name_of(content) for content in contents]
        with opening() as blobs:
            assert [blobs.get(digest) for digest in digests] == contents
            assert blobs.owned("s") == sorted(digests)
            assert blobs.get(name_of(b"never")) is None

    async def test_equal_contents_are_kept_once(self, opening: Stores) -> None:
        with opening() as blobs:
            first, again = await blobs.put("s", [b"same", b"same"])
            [other] = await blobs.put("t", [b"same"])
            assert first == again == other
            statistics = blobs.statistics()
            assert (statistics.blobs, statistics.puts, statistics.repeated) == (1, 3, 2)
            assert statistics.content_bytes == 4

    async def test_contents_are_compressed(self, opening: Stores) -> None:
        with opening() as blobs:
            await blobs.put("s", [b"the same line again and again\n" * 100_000])
            statistics = blobs.statistics()
            assert statistics.stored_bytes * 20 < statistics.content_bytes == 3_000_000

    async def test_a_blob_is_deleted_with_its_last_owner(self, opening: Stores) -> None:
        with opening() as blobs:
            [shared, own] = await blobs.put("s", [b"shared", b"own"])
            await blobs.put("t", [b"shared"])
            await blobs.forget("s")
            assert (blobs.get(shared), blobs.get(own)) == (b"shared", None)
            assert (blobs.owned("s"), blobs.owned("t")) == ([], [shared])
            assert (blobs.owns("s", shared), blobs.owns("t", shared), blobs.owns("t", own)) == (False, True, False)
            await blobs.forget("t")
            assert blobs.get(shared) is None
            assert blobs.statistics().blobs == 0

    async def test_owners_whose_names_begin_alike_stay_apart(self, opening: Stores) -> None:
        with opening() as blobs:
            for owner in ("s", "s1", "s-", "ÿ"):
                await blobs.put(owner, [owner.encode(), b"all"])
            await blobs.forget("s")
            assert blobs.get(name_of(b"s")) is None
            for owner in ("s1", "s-", "ÿ"):
                assert blobs.owned(owner) == sorted([name_of(owner.encode()), name_of(b"all")])
                assert blobs.get(name_of(owner.encode())) == owner.encode()

    async def test_what_no_event_names_can_be_discarded(self, opening: Stores) -> None:
        with opening() as blobs:
            [named, crashed] = await blobs.put("s", [b"named", b"a crash came before the append"])
            await blobs.discard("s", set(blobs.owned("s")) - {named})
            assert (blobs.get(named), blobs.get(crashed)) == (b"named", None)
            assert blobs.owned("s") == [named]

    async def test_an_owner_discards_nothing_that_others_own(self, opening: Stores) -> None:
        with opening() as blobs:
            [digest] = await blobs.put("s", [b"a"])
            await blobs.discard("t", [digest, name_of(b"never")])
            assert blobs.get(digest) == b"a"

    async def test_forgetting_twice_or_an_unknown_owner_is_harmless(self, opening: Stores) -> None:
        with opening() as blobs:
            await blobs.put("s", [b"a"])
            for _ in range(2):
                await blobs.forget("s")
            await blobs.forget("nobody")
            assert await blobs.put("s", [b"a"]) == [name_of(b"a")]
            assert blobs.get(name_of(b"a")) == b"a"

    async def test_nothing_to_put_is_nothing_done(self, opening: Stores) -> None:
        with opening() as blobs:
            assert await blobs.put("s", []) == []
            assert blobs.owned("s") == []

    async def test_senseless_puts_are_bugs(self, opening: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fleet.events.blobs, "BLOB_BYTES_MAX", 100)
        monkeypatch.setattr(fleet.events.blobs, "BLOB_PUT_BYTES_MAX", 250)
        with opening() as blobs:
            for owner in ("", "a\0b", "x" * 257):
                with pytest.raises(ValueError, match="name of the stream"):
                    await blobs.put(owner, [b"a"])
            with pytest.raises(ValueError, match="holds up to 100, cut it"):
                await blobs.put("s", [b"x" * 101])
            with pytest.raises(ValueError, match="put up to 250"):
                await blobs.put("s", [b"x" * 90] * 3)
            assert blobs.statistics().blobs == 0

    async def test_many_put_and_forget_at_once(self, opening: Stores) -> None:
        with opening() as blobs:

            async def live(owner: str) -> None:
                for n in range(5):
                    await blobs.put(owner, [b"shared", f"{owner} {n}".encode()])
                if owner != "9":
                    await blobs.forget(owner)

            async with trio.open_nursery() as nursery:
                for n in range(10):
                    nursery.start_soon(live, str(n))
            assert blobs.statistics().blobs == 6
            assert blobs.get(name_of(b"shared")) == b"shared"
