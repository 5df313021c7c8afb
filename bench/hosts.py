"""What do 1,000 sessions on 50 hosts cost the server? Creation with its placement, turns, memory, and a restart.

All of Fleet runs, between the simulation's machines and a log in memory (tests/simulation, tests/fakes), on virtual
time; every session has an OpenCode process of its own. So the figures are processor time of the server together with
the stand-ins, without disk and network. The baseline is the same number of sessions on the server's own machine, with
the same stand-ins.

Run: python -m bench hosts
"""

import gc
import time
import tracemalloc
from dataclasses import dataclass, field
from functools import partial

import structlog.testing
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from bench.figures import Figure, show
from fleet.actors.caller import Caller
from fleet.actors.context import Policy
from fleet.actors.effects.rooms import Rooms
from fleet.actors.prompt import NewPrompt
from fleet.actors.usecases.sessions import CommandResult, NewSession
from fleet.core.session.values import SessionSettings
from tests.fakes.scheduling import deterministic
from tests.simulation.machine import Incarnation, Machine

SESSIONS = 1_000
HOSTS = 50
REPOSITORIES = 10
PLACED = 200
WORDS = 10
MORE_WORDS = 200
SPEAKERS = 100
_AT_ONCE = 50
"""Sessions that are created at the same time."""
_POLL_S = 0.1


@dataclass
class Round:
    """What one side took, in seconds of the processor if not said otherwise."""

    created_s: list[float] = field(default_factory=list[float])
    placed_s: float = 0.0
    turns_s: float = 0.0
    events: int = 0
    word_s: float = 0.0
    adopted_s: float = 0.0
    adopted_virtual_s: float = 0.0
    memory_bytes: int = 0
    hosts_used: int = 0


class Side:
    """Sessions on a number of hosts; 0: on the server's own machine."""

    def __init__(self, sessions: int, hosts: int) -> None:
        self._sessions = sessions
        self._hosts = hosts
        self._round = Round()
        self._machine: Machine

    def run(self) -> Round:
        """Measure and return."""
        with deterministic(1), structlog.testing.capture_logs():
            trio.run(self._run, clock=MockClock(autojump_threshold=0))
        return self._round

    async def _run(self) -> None:
        async with trio.open_nursery() as world:
            machine = self._machine = Machine(1, world, nodes=self._hosts)
            for node in machine.cluster.nodes:  # so that each gets its share
                node.cpus, node.memory_mb = 1 + self._sessions // self._hosts, 1 << 20
            machine.policy = Policy(sharing="directory", instances_max=self._sessions, memory_free_bytes_min=0)
            for number in range(REPOSITORIES):
                machine.directories.add_repository(f"/src/{number}")
            world.start_soon(machine.run)
            await self._create_all()
            await self._place_all()
            await self._measure_turns()
            await self._restart()
            await self._weigh()
            world.cancel_scope.cancel()

    async def _create_all(self) -> None:
        for first in range(0, self._sessions, _AT_ONCE):
            started_s = time.process_time()
            async with trio.open_nursery() as nursery:
                count = min(_AT_ONCE, self._sessions - first)
                for number in range(first, first + count):
                    nursery.start_soon(self._create, number)
            await self._until_idle(first + count)
            self._round.created_s.append((time.process_time() - started_s) / count)

    async def _create(self, number: int) -> None:
        settings = SessionSettings(title=f"session {number}", strategy="worktree")
        new = NewSession(f"/src/{number % REPOSITORIES}", settings)
        result = await self._machine.call(lambda fleet: fleet.sessions.create(new, Caller()))
        if not isinstance(result, CommandResult):
            raise TypeError(f"session {number} was not created: {result}")

    async def _place_all(self) -> None:
        """Choose a host for another workspace of each session, as if it were new."""
        fleet = (await self._machine.fleet()).fleet
        rooms = Rooms(fleet.context)
        specs = [(state, fleet.views.workspaces.get(state.workspace_id)) for state in fleet.views.sessions]
        started_s = time.process_time()
        for session, workspace in specs[:PLACED]:
            if workspace is not None and workspace.spec is not None:
                await rooms.place(session, replace(workspace.spec, workspace_id="new"), _never_waits)
        self._round.placed_s = (time.process_time() - started_s) / min(PLACED, len(specs))

    async def _measure_turns(self) -> None:
        head = len(self._machine.disk.records)
        self._round.turns_s = await self._prompt(self._sessions, WORDS)
        self._round.events = len(self._machine.disk.records) - head
        speakers = min(SPEAKERS, self._sessions)
        short_s, long_s = [await self._prompt(speakers, words) for words in (WORDS, WORDS + MORE_WORDS)]
        self._round.word_s = (long_s - short_s) / (MORE_WORDS * speakers)
        self._round.hosts_used = sum(bool(node.world.living()) for node in self._machine.cluster.nodes)

    async def _prompt(self, count: int, words: int) -> float:
        """Prompt sessions at once; the answer repeats the words, one by one. Return the processor's time."""
        fleet = (await self._machine.fleet()).fleet
        prompt = NewPrompt("word " * words)
        started_s = time.process_time()
        async with trio.open_nursery() as nursery:
            for session in list(fleet.views.sessions)[:count]:
                submit = partial(fleet.sessions.prompt, resume=False, caller=Caller())
                nursery.start_soon(submit, session.id, prompt)
        await self._until_idle(self._sessions)
        return time.process_time() - started_s

    async def _until_idle(self, count: int) -> None:
        fleet = (await self._machine.fleet()).fleet
        while sum(_rests(state) for state in fleet.views.sessions) < count:  # noqa: ASYNC110 - of many, not of one
            await trio.sleep(_POLL_S)

    # -------------------------------------------------------------------------------------------------------- restart

    async def _restart(self) -> None:
        """Kill Fleet, and let the next one adopt every process."""
        gc.collect()
        started_s, since_s = time.process_time(), trio.current_time()
        await self._crash_and_adopt()
        self._round.adopted_s = time.process_time() - started_s
        self._round.adopted_virtual_s = trio.current_time() - since_s

    async def _weigh(self) -> None:
        """Trace what a Fleet allocates that starts on this log and adopts everything."""
        gc.collect()
        tracemalloc.start()
        await self._crash_and_adopt()
        gc.collect()
        self._round.memory_bytes = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()

    async def _crash_and_adopt(self) -> None:
        self._machine.crash()
        fleet = await self._machine.fleet()
        while not _has_all(fleet, self._sessions):  # noqa: ASYNC110 - of many, not of one
            await trio.sleep(_POLL_S)


async def _never_waits(reason: str) -> None:
    raise AssertionError(reason)


def _rests(state: object) -> bool:
    return getattr(state, "phase", "") == "idle" and getattr(state, "turn", None) is None


def _has_all(fleet: Incarnation, count: int) -> bool:
    context = fleet.fleet.context
    connected = [each for each in context.views.instances if context.connections.current(each.id) is not None]
    return sum(each.phase == "ready" for each in connected) >= count


def measure(sessions: int = SESSIONS, hosts: int = HOSTS) -> list[Figure]:
    """Measure both sides, and return the figures."""
    many, one = Side(sessions, hosts).run(), Side(sessions, 0).run()
    return [
        Figure("creation of a session, the first 50", many.created_s[0] * 1000, "ms", one.created_s[0] * 1000),
        Figure("creation of a session, the last 50", many.created_s[-1] * 1000, "ms", one.created_s[-1] * 1000),
        Figure(f"placement among {sessions} sessions", many.placed_s * 1000, "ms"),
        Figure("a turn of each session at once, events", many.events / many.turns_s, "/s", one.events / one.turns_s),
        Figure("words of running answers", 1 / many.word_s, "/s", 1 / one.word_s),
        Figure("memory of the server", many.memory_bytes / 1e6, "MB", one.memory_bytes / 1e6),
        Figure("a restart until all is adopted, processor", many.adopted_s, "s", one.adopted_s),
        Figure("a restart until all is adopted, virtual time", many.adopted_virtual_s, "s", one.adopted_virtual_s),
    ]


def main() -> list[Figure]:
    """Measure, print and return."""
    title = f"hosts: {SESSIONS} sessions on {HOSTS} hosts, against as many on the server's machine (stand-ins)"
    return show(title, measure())


if __name__ == "__main__":
    main()
