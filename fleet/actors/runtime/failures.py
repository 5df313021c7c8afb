"""Decides, for all aggregates, what happens when an effect raises an error.

An effect whose decider names a failure for it (`Decider.failure`) reports that: a start that meets a full disk has
failed at once. The others must not be given up (a stop, the end of a turn): a `Problem` lets them begin again, after a
delay that grows. Any other exception is a bug: it is logged with its trace, and reported as `internal` or, where there
is nothing to report, left to the supervisor. Ports raise `Problem`s alone (port_errors.py).
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
"""The command that reports the failure of an effect (its problem code, the detail, when), None where it has none."""


def answering(perform: Perform[Any, Any], failure: Failure[Any, Any], now_ms: Callable[[], int]) -> Perform[Any, Any]:
    """Return `perform` with an answer to whatever it raises."""

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
    """Return the problem that an effect has met; a bug is logged. A cancellation is raised again, without the rest."""
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
        return Problem("internal", "Fleet met an unexpected error; its log has the details")
    return problem_of(first) if isinstance(first, OSError) else cast("Problem", first)


def _leaves(error: Exception) -> list[Exception]:
    if isinstance(error, ExceptionGroup):
        group = cast("ExceptionGroup[Exception]", error)
        return [leaf for each in group.exceptions for leaf in _leaves(each)]
    return [error]
