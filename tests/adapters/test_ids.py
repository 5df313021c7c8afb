"""SystemIds and SystemClock: order, and never ahead of the clock."""

import time
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.adapters.clock import SystemClock
from fleet.adapters.ids import SystemIds
from tests.fakes.clock import FakeClock, FakeIds


class ScriptedClock:
    """Gives the scripted times one after the other, then counts on from the last."""

    def __init__(self, *times_ms: int) -> None:
        self._times_ms = list(times_ms)
        self._last_ms = times_ms[-1]

    def now_ms(self) -> int:
        if self._times_ms:
            return self._times_ms.pop(0)
        self._last_ms += 1
        return self._last_ms


def millis(opencode: str) -> int:
    return int(opencode[4:16], 16) // 0x1000


def test_system_clock_is_unix_time_in_milliseconds() -> None:
    before = time.time() * 1000
    now_ms = SystemClock().now_ms()
    assert before - 1 <= now_ms <= time.time() * 1000


@given(st.lists(st.integers(0, 2**47), min_size=1, max_size=50))
def test_uuids_ascend_when_the_clock_steps_back(times_ms: list[int]) -> None:
    ids = SystemIds(ScriptedClock(*times_ms))
    made = [ids.uuid7() for _ in times_ms]
    assert made == sorted(set(made))
    assert all(UUID(text).version == 7 for text in made)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=50))
def test_opencode_ids_ascend_within_and_across_milliseconds(steps_ms: list[int]) -> None:
    times_ms = [1_000 + sum(steps_ms[: index + 1]) for index in range(len(steps_ms))]
    ids = SystemIds(ScriptedClock(*times_ms))
    made = [ids.opencode("msg") for _ in times_ms]
    assert made == sorted(set(made))
    assert [millis(text) for text in made] == times_ms


def test_an_opencode_id_is_never_ahead_of_a_clock_that_stepped_back() -> None:
    ids = SystemIds(ScriptedClock(5_000, 3_000, 3_000))
    assert [millis(ids.opencode("prt")) for _ in range(3)] == [5_000, 3_000, 3_000]


def test_a_full_millisecond_waits_for_the_next_one() -> None:
    ids = SystemIds(ScriptedClock(*[7_000] * 4_100, 7_001))
    made = [ids.opencode("msg") for _ in range(4_097)]
    assert millis(made[4_095]) == 7_000
    assert millis(made[4_096]) == 7_001
    assert made == sorted(set(made))


async def test_fake_ids_repeat_with_the_seed_and_ascend(autojump_clock: object) -> None:
    first, again = FakeIds(FakeClock(), seed=4), FakeIds(FakeClock(), seed=4)
    made = [first.uuid7() for _ in range(20)]
    assert made == [again.uuid7() for _ in range(20)] == sorted(set(made))
    messages = [first.opencode("msg") for _ in range(20)]
    assert messages == sorted(set(messages))
    assert messages != [FakeIds(FakeClock(), seed=5).opencode("msg") for _ in range(20)]


async def test_fake_ids_stop_a_loop_that_never_lets_time_pass(autojump_clock: object) -> None:
    ids = FakeIds(FakeClock())
    for _ in range(4_096):
        ids.opencode("ses")
    with pytest.raises(AssertionError, match="virtual millisecond"):
        ids.opencode("ses")
