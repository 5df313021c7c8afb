"""Clock and ids of a simulated run: time is trio's (with a MockClock: virtual), randomness comes from a seed."""

from random import Random

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from fleet.ids import OPENCODE_RANDOM_BITS, OpenCodePrefix, opencode_id, uuid7

EPOCH_MS = 1_767_225_600_000
"""Unix time at trio's time 0: 2026-01-01T00:00:00Z."""


class FakeClock:
    """Wall time that follows trio's clock. `skew_ms` sets it ahead or back, as an administrator would."""

    def __init__(self, epoch_ms: int = EPOCH_MS) -> None:
        self.epoch_ms = epoch_ms
        self.skew_ms = 0

    def now_ms(self) -> int:
        return self.epoch_ms + self.skew_ms + int(trio.current_time() * 1000)


async def let_pass(seconds: float, step_s: float = 3600.0) -> None:
    """Let virtual time pass in steps: what Fleet repeats every few seconds happens once a step, not a thousand times.

    A task that would have slept less than a step wakes at its end.
    """
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    end = trio.current_time() + seconds
    while (left := end - trio.current_time()) > 0:
        clock.jump(min(step_s, left))
        await wait_all_tasks_blocked()


class FakeIds:
    """The same ids for the same seed and the same times; one counter orders all of them."""

    def __init__(self, clock: FakeClock, seed: int = 0) -> None:
        self._clock = clock
        self._random = Random(seed)
        self._counts: dict[tuple[str, int], int] = {}
        self._last_uuid_ms = 0

    def uuid7(self) -> str:
        now_ms = self._last_uuid_ms = max(self._last_uuid_ms, self._clock.now_ms())
        return uuid7(now_ms, self._next("uuid", now_ms) << 62 | self._random.getrandbits(62))

    def opencode(self, prefix: OpenCodePrefix) -> str:
        now_ms = self._clock.now_ms()
        counter = self._next("opencode", now_ms)
        return opencode_id(prefix, now_ms, counter, self._random.getrandbits(OPENCODE_RANDOM_BITS))

    def _next(self, kind: str, now_ms: int) -> int:
        count = self._counts.get((kind, now_ms), 0)
        # Virtual time stands still while tasks run: a loop that makes ids without end would otherwise go unnoticed.
        assert count < 0x1000, "more than 4096 ids in one virtual millisecond"
        self._counts = {key: value for key, value in self._counts.items() if key[0] != kind}
        self._counts[kind, now_ms] = count + 1
        return count
