"""Work that fails for now is repeated: without an end while something is away, for a time where it is refused."""

from collections.abc import Iterator

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from fleet.actors.runtime.retry import Patience, persist
from fleet.errors import Problem, Rejected, Unavailable

Clock = trio.testing.MockClock

AWAY = Unavailable("opencode_unreachable", "OpenCode does not answer")
LOCKED = Problem("opencode_refused", "the database is locked")


async def tried(results: Iterator[Problem | str], patience: Patience, every_s: float | None = None) -> str:
    async def work() -> str:
        result = next(results)
        if isinstance(result, Problem):
            raise result
        return result

    return await persist(work, patience, every_s=every_s)


async def test_unavailable_is_retried_and_logged_once(autojump_clock: Clock) -> None:
    with capture_logs() as logs:
        assert await tried(iter([AWAY] * 100 + ["done"]), Patience("repeated", session="s"), 3) == "done"
    assert [(entry["event"], entry["code"], entry["session"]) for entry in logs] == [("repeated", AWAY.code, "s")]
    assert trio.current_time() == 300


async def test_without_a_period_the_waits_grow_up_to_a_maximum(autojump_clock: Clock) -> None:
    await tried(iter([AWAY] * 3 + ["done"]), Patience("repeated"))
    assert trio.current_time() == pytest.approx(0.1 + 0.2 + 0.4)


async def test_a_refusal_is_raised_at_once_without_a_time_for_it(autojump_clock: Clock) -> None:
    refusal = Rejected("session_not_found", "There is no such session")
    with capture_logs() as logs, pytest.raises(Rejected):
        await tried(iter([refusal]), Patience("repeated"))
    assert (logs, trio.current_time()) == ([], 0)


async def test_a_refusal_that_lasts_is_raised_after_its_time(autojump_clock: Clock) -> None:
    with pytest.raises(Problem, match="locked"):
        await tried(iter([LOCKED] * 100), Patience("repeated", refused_s=30), 2)
    assert trio.current_time() == 30


async def test_a_different_problem_starts_the_time_limit_again(autojump_clock: Clock) -> None:
    results = iter([LOCKED] * 10 + [AWAY] + [LOCKED] * 10 + ["done"])
    assert await tried(results, Patience("repeated", refused_s=21), 2) == "done"


async def test_a_final_code_is_raised_at_once(autojump_clock: Clock) -> None:
    with pytest.raises(Problem, match="locked"):
        await tried(iter([LOCKED]), Patience("repeated", refused_s=30, final=(LOCKED.code,)), 2)
    assert trio.current_time() == 0


async def test_only_listed_problems_are_retried(autojump_clock: Clock) -> None:
    other = Unavailable("overloaded", "the queue is full")
    with pytest.raises(Unavailable, match="full"):
        await tried(iter([AWAY, AWAY, other, "done"]), Patience("repeated", only=(AWAY.code,)), 3)
    assert trio.current_time() == 6
