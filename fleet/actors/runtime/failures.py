"""Decides, for all aggregates, what happens when an effect raises an error.

If the decider has a failure report for the effect (`Decider.failure`), that is sent: a start on a full disk fails at
once. Other effects must not be given up (a stop, the end of a turn): after a `Problem` they are retried with a growing
delay. Any other exception is a bug: it is logged with its trace and reported as `internal`, or, without a failure
report, raised to the supervisor. Ports raise only `Problem`s (port_errors.py).
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import structlog
import trio

from fleet.actors.runtime.aggregate import Perform, ReportBack
from fleet.actors.runtime.child import real_part
from fleet.backoff import backoff_s
from fleet.errors import Problem, problem_of

_log = structlog.get_logger(__name__)

Effect = TypeVar("Effect")
Command = TypeVar("Command")

Failure = Callable[[Effect, str, str, int], Command | None]
"""Makes the command that reports a failed effect (from problem code, detail and time); None if there is none."""


def reporting_failures(
    perform: Perform[Any, Any], failure: Failure[Any, Any], now_ms: Callable[[], int]
) -> Perform[Any, Any]:
    """Return `perform` with this handling of errors."""

    async def carry_out(effect: Any, report: ReportBack[Any]) -> None:
        attempt = 0
        while True:
            try:
                await perform(effect, report)
            except BaseException as raised:
                problem = _problem_in(raised)
                command = failure(effect, problem.code, problem.detail, now_ms())
                if command is None and problem.code == "internal":
                    raise
            else:
                return
            if command is not None:
                await report(command)
                return
            attempt += 1
            _log.warning("effect_retried", effect=str(effect.key), code=problem.code, detail=problem.detail)
            await trio.sleep(backoff_s(attempt))

    return carry_out


def _problem_in(raised: BaseException) -> Problem:
    """Return the problem in an error of an effect; a bug is logged. A cancellation is raised again, alone."""
    error, unwinding = real_part(raised)
    if error is None:
        raise raised
    leaves = _leaves(error)
    bugs = [leaf for leaf in leaves if not isinstance(leaf, Problem | OSError)]
    if bugs:
        _log.error("effect_crashed", exc_info=error)
    if unwinding is not None:
        raise unwinding from None
    first = leaves[0]
    if bugs:
        return Problem("internal", "an unexpected error occurred in Fleet; the server's log has the details")
    return problem_of(first) if isinstance(first, OSError) else cast("Problem", first)


def _leaves(error: Exception) -> list[Exception]:
    if isinstance(error, ExceptionGroup):
        group = cast("ExceptionGroup[Exception]", error)
        return [leaf for each in group.exceptions for leaf in _leaves(each)]
    return [error]
