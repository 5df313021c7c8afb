"""How fast is `ask`? Round trips through an actor against a bare trio memory channel pair and against pykka.

Run: python -m bench ask
"""

import time
from collections.abc import Awaitable, Callable

import pykka
import trio

from bench.figures import Figure, best, show
from fleet.actors.runtime.actor import Actor, Inbox
from fleet.actors.runtime.mailbox import Mailbox
from fleet.actors.runtime.ref import Message

TRIPS = 30_000
PYKKA_TRIPS = 10_000


class _Echo(pykka.ThreadingActor):
    def on_receive(self, message: int) -> int:
        return message


async def _fleet_actor() -> float:
    async def handle(message: Message[int, int]) -> None:
        message.reply(message.command)

    inbox: Inbox[int, int] = Mailbox("echo")
    async with trio.open_nursery() as nursery:
        ref = await nursery.start(Actor(inbox, handle).run, trio.Event())
        rate = await _rate(ref.ask)
        nursery.cancel_scope.cancel()
    return rate


async def _channels() -> float:
    """The least that answers: a request channel and a reply channel, one asker, no deadline, no errors."""
    requests, incoming = trio.open_memory_channel[int](1024)
    replies, outgoing = trio.open_memory_channel[int](1)

    async def echo() -> None:
        async for value in incoming:
            await replies.send(value)

    async def ask(value: int) -> int:
        await requests.send(value)
        return await outgoing.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(echo)
        rate = await _rate(ask)
        nursery.cancel_scope.cancel()
    return rate


async def _rate(ask: Callable[[int], Awaitable[int]]) -> float:
    started_s = time.perf_counter()
    for number in range(TRIPS):
        await ask(number)
    return TRIPS / (time.perf_counter() - started_s)


def _pykka() -> float:
    ref = _Echo.start()
    try:
        started_s = time.perf_counter()
        for number in range(PYKKA_TRIPS):
            ref.ask(number, timeout=30)
        return PYKKA_TRIPS / (time.perf_counter() - started_s)
    finally:
        ref.stop()


def main() -> list[Figure]:
    """Measure, print and return round trips per second."""
    actor, channels, threads = best(max, lambda: trio.run(_fleet_actor), lambda: trio.run(_channels), _pykka)
    return show(
        "ask: round trips through an actor, one asker",
        [
            Figure("against a trio memory channel pair (no deadline)", actor, "/s", channels),
            Figure("against pykka (threads)", actor, "/s", threads),
        ],
    )


if __name__ == "__main__":
    main()
