"""Readers of the feed: now quick, now slow, cut off by every crash, back with their cursor, as over SSE."""

from random import Random

import trio

from fleet.events.envelope import Recorded
from fleet.events.feed import Filter
from tests.simulation.machine import Incarnation, Machine


class StreamReader:
    """One reader; `got` are the positions that it was given, over all of its connections."""

    def __init__(self, machine: Machine, random: Random, stream: str | None) -> None:
        self._machine = machine
        self._random = random
        self.stream = stream
        self.turns_only = stream is None and random.random() < 0.5
        self.got: list[int] = []
        self._nothing_until = 0
        self._buffer = random.choice((2, 8, 1024))
        self._slowness_s = random.choice((0.0, 0.5, 5.0))

    def wants(self, stream: str, kind: str) -> bool:
        """Say whether an event concerns this reader."""
        return stream == self.stream if self.stream is not None else not self.turns_only or "turn" in kind

    @property
    def cursor(self) -> int:
        return self.got[-1] if self.got else 0

    def is_through(self, fleet: Incarnation) -> bool:
        """Say whether there is nothing beyond the cursor that concerns this reader."""
        behind = max(self.cursor, self._nothing_until)
        if any(self.wants(beyond.stream, beyond.type) for beyond in fleet.log.read_all(behind)):
            return False
        self._nothing_until = fleet.log.head()
        return True

    async def run(self) -> None:
        while True:
            fleet = await self._machine.fleet()
            with fleet.connection() as connection:
                patience_s = self._random.uniform(1, 60)
                connection.deadline = trio.current_time() + patience_s
                await self._read(fleet)
            await trio.sleep(self._random.uniform(0, self._slowness_s))

    async def _read(self, fleet: Incarnation) -> None:
        only: Filter = self.stream if self.stream is not None else self._concerns if self.turns_only else None
        async with fleet.fleet.feed.subscribe(after=self.cursor, stream=only, buffer=self._buffer) as feed:
            async for events in feed:
                if fleet.killed:  # what it would still say does not reach a client
                    return
                self.got += [recorded.position for recorded in events]
                if self._slowness_s:
                    await trio.sleep(self._random.uniform(0, self._slowness_s))

    def _concerns(self, recorded: Recorded) -> bool:
        return self.wants(recorded.stream, recorded.type)
