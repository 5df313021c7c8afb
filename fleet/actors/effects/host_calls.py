"""Waits for hosts that do not answer, and repeats what was called there: every call of a host can be repeated."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import trio

from fleet.actors.context import Context
from fleet.actors.runtime.retry import Patience, persist
from fleet.core.hosts import HOSTS_ID
from fleet.limits import HOST_RETRY_S, HOST_SILENT_S
from fleet.ports import LOCAL

Result = TypeVar("Result")

_AWAY: Final = frozenset(("host_unreachable", "engine_down"))


async def until_host_answers(call: Callable[[], Awaitable[Result]], **about: Any) -> Result:
    """Return what `call` returns, and repeat it while the host does not answer.

    The effect that makes the call is cancelled when the host is lost. `about` is logged with the problem.
    """
    return await persist(call, Patience("host_does_not_answer", only=_AWAY, **about), every_s=HOST_RETRY_S)


async def within(context: Context, host: str, limit_s: float, call: Callable[[], Awaitable[Result]]) -> Result | None:
    """Return what `call` returns; None if that takes longer than `limit_s` on a host that answers.

    If the host does not answer then, the call is repeated when it does, or is lost.
    """
    while True:
        with trio.move_on_after(limit_s):
            return await call()
        if context.known_hosts.host(host).phase == "up":
            return None
        await await_answer(context, host)


async def is_away(context: Context, host: str) -> bool:
    """Return whether a host does not answer. A call may notice before the host is silent, so it waits for that."""
    if host == LOCAL:
        return False
    hosts = context.views.hosts
    with trio.move_on_after(HOST_SILENT_S + HOST_RETRY_S):
        while context.known_hosts.host(host).phase == "up":
            await hosts.change_of(HOSTS_ID, hosts.get(HOSTS_ID))
    return context.known_hosts.host(host).phase != "up"


async def await_answer(context: Context, host: str) -> bool:
    """Wait for a host that has not answered a call, and return whether it does now; False if it is lost."""
    hosts = context.views.hosts
    with trio.move_on_after(HOST_RETRY_S):  # a call may notice before the host is silent
        while context.known_hosts.host(host).phase == "up":
            await hosts.change_of(HOSTS_ID, hosts.get(HOSTS_ID))
    while context.known_hosts.host(host).phase == "silent":
        await hosts.change_of(HOSTS_ID, hosts.get(HOSTS_ID))
    return context.known_hosts.host(host).phase == "up"
