"""An aggregate whose stream is erased does not exist in any view: live, after a restart, and after a rebuild."""

from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import pytest
from msgspec.structs import replace

from fleet.core.decider import Decider
from fleet.core.session.events import ConversationOpened
from fleet.core.session.turn_events import MessageRecorded, PartRecorded
from fleet.events.envelope import Cause
from fleet.events.registry import EventRegistry
from fleet.ports import Part
from fleet.projections.activities import Activities
from fleet.projections.inflight import InFlight
from fleet.projections.past import Past
from fleet.projections.runner import Runner, digest_at
from fleet.projections.states import States
from fleet.projections.store import LmdbViewStore, ViewStore
from fleet.projections.transcripts import Transcripts, Where
from fleet.projections.views import Views
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import KEY, MemoryDisk, MemoryLog
from tests.fakes.memory_store import MemoryStore

CAUSE = Cause()


class Born(msgspec.Struct, frozen=True):
    name: str


class Named(msgspec.Struct, frozen=True):
    name: str


class Gone(msgspec.Struct, frozen=True):
    pass


class Pet(msgspec.Struct, frozen=True):
    id: str
    phase: Literal["absent", "alive", "erased"] = "absent"
    name: str = ""


def evolve(pet: Pet, event: Any) -> Pet:
    if isinstance(event, Born):
        assert pet.phase == "absent"
        return replace(pet, phase="alive", name=event.name)
    assert pet.phase == "alive", "only what is alive has a name, or goes"
    return replace(pet, phase="erased") if isinstance(event, Gone) else replace(pet, name=event.name)


def nothing(*_: object) -> tuple[()]:
    return ()


PET: Decider[Any, Pet, Any, Any] = Decider("pet", Pet, nothing, evolve, nothing, nothing)


def pet_registry() -> EventRegistry:
    registry = EventRegistry()
    for cls in (Born, Named, Gone, ConversationOpened, MessageRecorded, PartRecorded):
        registry.register(cls, cls.__name__.lower())
    return registry


class Process:
    """What runs between two restarts."""

    def __init__(self, disk: MemoryDisk, store: ViewStore) -> None:
        self.log = MemoryLog(disk, pet_registry(), FakeClock())
        self.pets = States(PET, Pet)
        self.past = Past(self.pets, self.log)
        self.runner = Runner(self.log, store, cast("Views", (self.pets,)), inline)
        self.runner.open()

    async def append(self, pet_id: str, *events: Any) -> None:
        stream = f"pet-{pet_id}"
        await self.log.append(stream, self.log.stream_version(stream), events, CAUSE)

    def seen(self) -> dict[str, str]:
        return {pet.id: pet.name for pet in self.pets}


async def inline(write: Any) -> None:
    write()


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MemoryStore() if request.param == "memory" else LmdbViewStore(tmp_path / "views", KEY.sealer)


async def with_one_gone(disk: MemoryDisk, store: ViewStore, *, saved: bool) -> Process:
    process = Process(disk, store)
    await process.append("cat", Born("Minka"), Named("Mia"))
    await process.append("dog", Born("Rex"))
    if saved:
        await process.runner.save()
    await process.append("cat", Gone())
    return process


async def test_removed_session_is_hidden_and_waits_for_its_erasure(store: ViewStore) -> None:
    process = await with_one_gone(MemoryDisk(), store, saved=True)
    assert (process.seen(), process.pets.erasing) == ({"dog": "Rex"}, ["cat"])
    assert process.pets.get("cat") is None
    before = await process.past.one("cat", 2)
    assert before is not None
    assert before.name == "Mia"
    await process.log.erase("pet-cat")
    process.pets.erased("cat")
    assert process.pets.erasing == []
    assert await process.past.one("cat", 2) is None


@pytest.mark.parametrize("saved_before", [True, False])
@pytest.mark.parametrize("saved_after", [True, False])
@pytest.mark.parametrize("erased_events", [0, 1, 2, 3])
async def test_removed_session_is_hidden_after_a_crash_at_any_point(
    store: ViewStore, erased_events: int, saved_before: bool, saved_after: bool
) -> None:
    """The crash may come before, in the middle of, or after the erasure; rows may be written or not."""
    disk = MemoryDisk()
    process = await with_one_gone(disk, store, saved=saved_before)
    if saved_after:
        await process.runner.save()
    process.log._erase_page("pet-cat", [1, 2, 4][:erased_events])
    for each in (store, MemoryStore()):
        later = Process(disk, each)
        assert later.seen() == {"dog": "Rex"}
        rows_hold_it = each is store and saved_after
        assert later.pets.erasing == (["cat"] if erased_events < 3 or rows_hold_it else [])


async def test_erased_session_leaves_no_row(store: ViewStore) -> None:
    disk = MemoryDisk()
    process = await with_one_gone(disk, store, saved=True)
    await process.runner.save()
    again = Process(disk, store)
    assert again.pets.erasing == ["cat"]
    await again.log.erase("pet-cat")
    again.pets.erased("cat")
    await again.append("dog", Named("Max"))
    await again.runner.save()
    last = Process(disk, store)
    assert (last.seen(), last.pets.erasing) == ({"dog": "Max"}, [])


async def test_a_row_that_waits_for_the_erasure_holds_no_content(store: ViewStore) -> None:
    process = await with_one_gone(MemoryDisk(), store, saved=True)
    await process.runner.save()
    kept = process.runner._kept[0]
    _, rows = store.load("pet", kept.fingerprint, partial(digest_at, process.log))
    assert {key: b"M" in row for key, row in rows} == {"cat": False, "dog": False}


async def test_erased_transcript_leaves_the_cache() -> None:
    log = MemoryLog(MemoryDisk(), pet_registry(), FakeClock())
    body = msgspec.Raw(b'{"id":"m"}')
    opened = ConversationOpened(opencode_id="o", at_ms=1)
    await log.append(
        "session-s",
        0,
        [opened, MessageRecorded(message_id="m", opencode_id="o", role="user", at_ms=1, body=body)],
        CAUSE,
    )
    await log.append(
        "session-s", 2, [PartRecorded(part_id="p", message_id="m", type="text", at_ms=1, body=body)], CAUSE
    )
    transcripts = Transcripts(log)
    read = partial(transcripts.page, "session-s")
    now, then = Where(10), Where(10, at=2)
    assert ((await read(now)).total, (await read(then)).total) == (1, 1)
    await log.erase("session-s")
    assert ((await read(now)).total, (await read(then)).total) == (0, 0)
    assert (await transcripts.conversations("session-s"), await transcripts.turns("session-s")) == ([], [])


def test_open_parts_can_be_forgotten() -> None:
    inflight = InFlight(Activities(lambda: 0))
    inflight.part("s", Part("p", "s", "m", "text", finished=False, raw=b"{}", text="so far"))
    assert len(inflight.snapshot(frozenset("s"))["s"]) == 1
    inflight.forget("s")
    assert inflight.snapshot(frozenset("s"))["s"] == []
