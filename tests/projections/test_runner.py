"""Views are written behind, one after the other, while the log continues: a crash between two of them costs nothing."""

from collections.abc import Callable
from typing import cast

import pytest

from fleet.events.envelope import Cause
from fleet.events.log import Listener
from fleet.projections.runner import Runner
from fleet.projections.states import States
from fleet.projections.views import Views
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog
from tests.fakes.memory_store import MemoryStore
from tests.projections.test_erased_views import PET, Born, Named, Pet, pet_registry


class CrashedError(RuntimeError):
    pass


@pytest.mark.parametrize("crash_after", [1, 2, 3])
async def test_events_that_come_between_two_writes_are_not_applied_twice(crash_after: int) -> None:
    """A second `Born` of one pet would be refused, and the next start with it."""
    disk, store = MemoryDisk(), MemoryStore()
    log = MemoryLog(disk, pet_registry(), FakeClock())
    writes = 0

    async def write(save: Callable[[], None]) -> None:
        nonlocal writes
        save()
        writes += 1
        await log.append(f"pet-{writes}", 0, (Born("Rex"), Named("Max")), Cause())
        await log.append(f"cat-{writes}", 0, (Born("Mia"),), Cause())
        if writes == crash_after:
            raise CrashedError

    runner = Runner(log, store, _views(), write)
    runner.open()
    await log.append("pet-0", 0, (Born("Bello"),), Cause())
    with pytest.raises(CrashedError):
        await _save_for_ever(runner)

    again = _views()
    Runner(MemoryLog(disk, pet_registry(), FakeClock()), store, again).open()
    pets, cats = (cast("tuple[States[Pet], ...]", again)[n] for n in (0, 1))
    assert {pet.id: pet.name for pet in pets} == {"0": "Bello"} | {str(n + 1): "Max" for n in range(crash_after)}
    assert {cat.id: cat.name for cat in cats} == {str(n + 1): "Mia" for n in range(crash_after)}


class ForgetfulLog(MemoryLog):
    """Its writer can break between a commit and telling of it."""

    mute = False

    def listen(self, listener: Listener) -> None:
        super().listen(lambda commit: None if self.mute else listener(commit))


async def test_commit_of_a_failed_writer_is_read_with_the_next_one() -> None:
    log, views = ForgetfulLog(MemoryDisk(), pet_registry(), FakeClock()), _views()
    runner = Runner(log, MemoryStore(), views, _save_at_once)
    runner.open()
    await log.append("pet-1", 0, (Born("Rex"),), Cause())
    log.mute = True
    await log.append("pet-2", 0, (Born("Bello"),), Cause())
    await log.append("pet-1", 1, (Named("Max"),), Cause())
    log.mute = False
    await log.append("pet-3", 0, (Born("Mia"),), Cause())
    (pets, _) = cast("tuple[States[Pet], ...]", views)
    assert {pet.id: pet.name for pet in pets} == {"1": "Max", "2": "Bello", "3": "Mia"}
    assert runner.position == log.head()


async def _save_at_once(save: Callable[[], None]) -> None:
    save()


async def _save_for_ever(runner: Runner) -> None:
    while True:
        await runner.save()


def _views() -> Views:
    return cast("Views", tuple(States(PET._replace(kind=name), Pet) for name in ("pet", "cat")))
