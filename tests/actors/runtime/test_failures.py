"""What becomes of an effect that raises: its failure, another attempt, or a crash."""

import errno
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest
import structlog.testing
import trio
from trio.testing import MockClock

from fleet.actors.port_errors import with_problems
from fleet.actors.runtime.failures import reporting_failures
from fleet.errors import Problem, Unavailable, problem_of


class Effect(NamedTuple):
    """An effect of these tests; one that `fails` has a report for that."""

    fails: bool
    key: str = "an effect"


FULL = OSError(errno.ENOSPC, "No space left on device", "/data")
BUG = ValueError("unforeseen")


def failure(effect: Effect, code: str, detail: str, at_ms: int) -> str | None:
    return f"{code} at {at_ms}: {detail}" if effect.fails else None


async def carried_out(effect: Effect, *outcomes: BaseException | None) -> list[str]:
    """Carry out an effect that raises `outcomes`, one in each attempt, and return what it reported."""
    attempts, reports = iter(outcomes), list[str]()

    async def perform(_: Effect, report: Callable[[str], Awaitable[None]]) -> None:
        await trio.lowlevel.checkpoint()
        outcome = next(attempts)
        if outcome is not None:
            raise outcome
        await report("done")

    async def report(command: str) -> None:
        await trio.lowlevel.checkpoint()
        reports.append(command)

    await reporting_failures(perform, failure, lambda: 7)(effect, report)
    return reports


async def test_a_problem_is_the_failure_of_an_effect() -> None:
    assert await carried_out(Effect(fails=True), Problem("git_failed", "no")) == ["git_failed at 7: no"]


async def test_a_full_disk_is_the_failure_of_an_effect_at_once() -> None:
    with structlog.testing.capture_logs() as logged:
        (told,) = await carried_out(Effect(fails=True), ExceptionGroup("of a nursery", [FULL]))
    assert told == "disk_full at 7: the disk is full (No space left on device: '/data')"
    assert [entry for entry in logged if "exc_info" in entry] == []


async def test_a_bug_is_logged_with_its_trace_and_reported_as_internal() -> None:
    with structlog.testing.capture_logs() as logged:
        (told,) = await carried_out(Effect(fails=True), ExceptionGroup("of a nursery", [FULL, BUG]))
    assert told.startswith("internal at 7: ")
    assert [entry["event"] for entry in logged if "exc_info" in entry] == ["effect_crashed"]


async def test_an_effect_that_must_not_be_given_up_begins_again(autojump_clock: MockClock) -> None:
    assert await carried_out(Effect(fails=False), FULL, Unavailable("overloaded", "later"), None) == ["done"]
    assert 0 < trio.current_time() < 10


async def test_a_bug_in_an_effect_that_must_not_be_given_up_is_for_the_supervisor() -> None:
    with pytest.raises(ValueError, match="unforeseen"):
        await carried_out(Effect(fails=False), BUG)


async def test_a_cancellation_is_no_failure_even_beside_an_error() -> None:
    error: BaseException = AssertionError("not cancelled")
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.sleep_forever()
        except trio.Cancelled as cancelled:
            error = cancelled
    mixed = BaseExceptionGroup("of a nursery", [FULL, error])
    with pytest.raises(BaseExceptionGroup) as raised:
        await carried_out(Effect(fails=True), mixed)
    assert raised.value.exceptions == (error,)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EMFILE, "overloaded"),
        (errno.ENOMEM, "overloaded"),
        (errno.EACCES, "system_failed"),
        (errno.EIO, "system_failed"),
    ],
)
def test_an_error_of_the_operating_system_has_a_code_and_helps(number: int, code: str) -> None:
    problem = problem_of(OSError(number, "what the system says", "/where"))
    assert problem.code == code
    assert "what the system says: '/where'" in problem.detail
    assert problem.hint is not None
    assert problem.retry_after_s is not None


async def test_awaited_calls_of_ports_raise_only_problems() -> None:
    class Port:
        name = "the port"

        def size(self) -> int:
            return 3

        async def write(self, text: str, *, twice: bool = False) -> str:
            await trio.lowlevel.checkpoint()
            if twice:
                return text * 2
            raise FULL

    port = with_problems(Port())
    assert (port.name, port.size(), await port.write("a", twice=True)) == ("the port", 3, "aa")
    with pytest.raises(Unavailable) as told:
        await port.write("a")
    assert told.value.code == "disk_full"
    assert told.value.__cause__ is FULL
