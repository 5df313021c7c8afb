"""What effects of the simulated Fleet meet beside problems: bugs, and errors of the operating system."""

import os
from collections.abc import Mapping, MutableMapping
from random import Random
from typing import Any, Final, cast

import msgspec
import structlog.contextvars
import trio

from fleet.actors.runtime.supervisor import RestartsExceeded

KINDS: Final = (RuntimeError, KeyError, msgspec.ValidationError, trio.BrokenResourceError)
"""What effects raise that have a bug."""


class Bugs:
    """The bugs that effects meet now, by `chance`, and those that they have met.

    The log has to tell of those that are `due`: not where a kill of Fleet was quicker.
    """

    def __init__(self) -> None:
        self.kinds: tuple[type[Exception], ...] = ()
        self.chance = 0.5
        self.met: list[Exception] = []
        self.due: list[Exception] = []

    def meet(self, random: Random) -> Exception | None:
        """Return what the next call meets; only effects bind the stream that they work for."""
        if not self.kinds or "stream" not in structlog.contextvars.get_contextvars() or random.random() >= self.chance:
            return None
        bug = random.choice(self.kinds)("a simulated bug")
        self.met.append(bug)
        self.due.append(bug)
        return bug

    def explain(self, entry: Mapping[str, Any]) -> bool:
        """Say whether an error in the log is nothing but these bugs, or what follows from them."""
        error = entry.get("exc_info")
        leaves = _leaves(error.__cause__ if isinstance(error, RestartsExceeded) else error)
        return bool(leaves) and all(any(leaf is bug for bug in self.met) for leaf in leaves)

    def unlogged(self, errors: list[MutableMapping[str, Any]]) -> list[str]:
        """Return the due ones that were raised and are in no trace of these entries of the log."""
        told: set[int] = set()
        for leaf in (leaf for entry in errors for leaf in _leaves(entry.get("exc_info"))):
            error: BaseException | None = leaf
            while error is not None:
                told.add(id(error))
                error = error.__context__
        return [repr(bug) for bug in self.due if bug.__traceback__ is not None and id(bug) not in told]


def an_os_error(numbers: tuple[int, ...], random: Random) -> OSError | None:
    """Return what the next call of the operating system meets: with `numbers`, one of them now and then."""
    if not numbers or random.random() < 0.5:
        return None
    number = random.choice(numbers)
    return OSError(number, os.strerror(number), "/somewhere")


def _leaves(error: BaseException | None) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in cast("BaseExceptionGroup[BaseException]", error).exceptions for leaf in _leaves(each)]
    return [] if error is None else [error]
