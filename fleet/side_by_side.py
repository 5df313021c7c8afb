"""Runs several actions at the same time. Their problem is raised as it is, not in a group."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from fleet.errors import Problem

T = TypeVar("T")
U = TypeVar("U")


async def side_by_side(*actions: Callable[[], Awaitable[None]]) -> None:
    """Run all actions in parallel; the first problem cancels the others and is raised itself, not in a group."""
    problems: list[Problem] = []

    async def act(action: Callable[[], Awaitable[None]]) -> None:
        try:
            await action()
        except Problem as problem:
            problems.append(problem)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for action in actions:
            nursery.start_soon(act, action)
    if problems:
        raise problems[0]


async def both(first: Awaitable[T], second: Awaitable[U]) -> tuple[T, U]:
    """Return both results, as `side_by_side` does."""
    firsts: list[T] = []
    seconds: list[U] = []

    async def one() -> None:
        firsts.append(await first)

    async def other() -> None:
        seconds.append(await second)

    await side_by_side(one, other)
    return firsts[0], seconds[0]
