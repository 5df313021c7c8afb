"""One seed, one run: callers and readers on a machine that fails, then quiet, then the checks.

The run is a pure function of its seed: trio's clock is virtual, its order of tasks is drawn from the seed, and so is
everything that happens. `simulate` raises what was found wrong, and that says how to see it again.
"""

import hashlib
from collections.abc import Callable, Mapping, MutableMapping
from random import Random
from typing import Any, cast

import structlog.testing
import trio
from trio.testing import MockClock

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.actors.prompt import NewPrompt
from fleet.actors.usecases.webhooks import NewWebhook
from fleet.core.instance.state import LIVE
from fleet.core.session.effects import FollowTurn, NotifyParent, SetUpWorkspace
from fleet.core.session.state import State, is_held
from fleet.core.webhook.payloads import MESSAGE_TYPES
from fleet.errors import Problem
from fleet.limits import HISTORY_PAGE_MAX, INSTANCES_MAX, ROOM_SWEEP_S, WORKSPACE_SWEEP_S
from fleet.ports import LOCAL
from fleet.projections.history_query import HistorySearch
from fleet.projections.transcripts import MessageView, Where
from fleet.projections.views import Views
from tests.fakes.scheduling import deterministic
from tests.simulation.checks import CHECKS
from tests.simulation.checks.hosts import no_reservation_is_left
from tests.simulation.clients import Client, Ledger
from tests.simulation.evidence import Evidence, Probe
from tests.simulation.faults import RECIPES, Faults, rebind, switch_webhooks
from tests.simulation.host_faults import undrain
from tests.simulation.machine import Machine
from tests.simulation.merged import one_disk, one_world
from tests.simulation.readers import StreamReader
from tests.simulation.story import tell
from tests.simulation.watch import Watch

SETTLE_S = 3000.0  # the longest patience of Fleet's own is TURN_SILENCE_S, 900 s; a turn of it may follow another
STEPS = 30
PROBES = 2
PROBE_ATTEMPTS = 6
TRANSCRIPT_MAX = 10**6
RECEIVER = "https://hooks.example/simulated"


class Failure(AssertionError):  # noqa: N818 - what it is
    """What a seed found, with the end of its history."""

    def __init__(self, seed: int, complaints: list[str], evidence: Evidence) -> None:
        found = "\n  ".join(complaints)
        super().__init__(f"seed {seed}:\n  {found}\n\n{tell(evidence.history)}")
        self.complaints = complaints


def simulate(seed: int, inspect: Callable[[Evidence], None] | None = None) -> str:
    """Run `seed` and return a digest of the log that it wrote; `inspect` sees what the checkers saw. Raises `Failure`.

    An error that is no finding (Fleet's own tree went down, or the simulation has a bug) is raised as it is.
    """
    run = _Run(seed, inspect)
    with deterministic(seed), structlog.testing.capture_logs() as logged:
        try:
            trio.run(run.run, logged, clock=MockClock(autojump_threshold=0))
        except BaseExceptionGroup as group:
            raise _first(group, seed) from None
    return hashlib.sha256(b"".join(run.records)).hexdigest()


def _first(error: BaseException, seed: int) -> BaseException:
    """Return what a run was ended by, out of its groups."""
    found = error
    while isinstance(found, BaseExceptionGroup):
        found = cast(BaseExceptionGroup[BaseException], found).exceptions[0]
    found.add_note(f"replay: make sim SEED={seed}")
    return found


def _crash(entry: Mapping[str, Any]) -> str:
    return f"{entry['event']}: {entry.get('child') or entry.get('id') or ''}: {entry.get('exc_info')!r}"


def _may_wait(state: State, views: Views) -> bool:
    """Say whether all that is under way waits for a person: their answer, permission, or resume of a parent."""
    asks = state.phase == "waiting_input" and all(request.answer is None for request in state.requests)
    parent = None if state.settings.parent_id is None else views.sessions.get(state.settings.parent_id)
    ended = parent is not None and parent.phase in ("stopped", "disconnected") and parent.provisioning is None
    held = (SetUpWorkspace,) if is_held(state) else ()
    silent = ended or (parent is not None and parent.has_lost_conversation)
    patient = (*held, *((FollowTurn,) if asks else ()), *((NotifyParent,) if silent else ()))
    return all(isinstance(effect, patient) for effect in views.sessions.decider.pending(state))


def _unfinished(views: Views, living: set[str]) -> list[str]:
    """Return what is still under way; a live instance is not, nor a webhook without messages: they never end."""
    working = [state.id for state in views.instances if state.phase in LIVE and state.id in living]
    working += [state.id for state in views.sessions if _may_wait(state, views)]
    working += [state.id for state in views.webhooks if not state.open]
    return [f"{view.name} {each}" for view in views for each in view.unfinished() if each not in working]


async def _transcript(fleet: Fleet, session_id: str) -> list[MessageView]:
    return (await fleet.transcripts.page(fleet.views.sessions.stream(session_id), Where(TRANSCRIPT_MAX))).messages


class _Run:
    def __init__(self, seed: int, inspect: Callable[[Evidence], None] | None) -> None:
        self._seed = seed
        self._inspect = inspect
        self._random = self._fork("run")
        self._ledger = Ledger()
        self._readers: list[StreamReader] = []
        self._probes: list[Probe] = []
        self._machine: Machine
        self._watch: Watch
        self.records: list[bytes] = []

    def _fork(self, name: str) -> Random:
        return Random(f"{self._seed} {name}")

    async def run(self, logged: list[MutableMapping[str, Any]]) -> None:
        async with trio.open_nursery() as world:
            machine = self._machine = Machine(self._seed, world, nodes=nodes_of(self._seed))
            self._watch = Watch(machine)
            self.records = machine.disk.records
            furnish(machine)
            machine.scripts.recipe = self._fork("recipe").choice((None, *RECIPES[:2]))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(machine.run)
                nursery.start_soon(self._watch.run)
                await self._register_webhook()
                for number in range(2):
                    self._read(nursery, StreamReader(machine, self._fork(f"reader {number}"), None))
                faults = Faults(machine, self._fork("faults"))
                await self._trouble(faults, nursery)
                await self._quiet(faults)
                evidence = await self._evidence()
                errors = [entry for entry in logged if entry["log_level"] in ("error", "critical")]
                evidence.crashes = [_crash(entry) for entry in errors if not machine.bugs.explain(entry)]
                evidence.unlogged = machine.bugs.unlogged(errors)
                self._check(evidence)
                if self._inspect is not None:
                    self._inspect(evidence)
                await self._check_reservations(evidence)
                await machine.close()
                self._check_nothing_runs(evidence)
                nursery.cancel_scope.cancel()
            world.cancel_scope.cancel()

    async def _register_webhook(self) -> None:
        """Have a person told of everything, who does not always listen."""
        chance = self._fork("receiver")
        moods: list[int | tuple[int, float] | str] = [200, 200, 500, (503, 20.0), "absent", "silent"]
        self._machine.sender.script[RECEIVER] = [chance.choice(moods) for _ in range(chance.randint(0, 8))] + [200]
        new = NewWebhook(RECEIVER, MESSAGE_TYPES)
        await self._machine.call(lambda fleet: fleet.webhooks.register(new, Caller()))

    def _read(self, nursery: trio.Nursery, reader: StreamReader) -> None:
        self._readers.append(reader)
        nursery.start_soon(reader.run)

    async def _trouble(self, faults: Faults, readers: trio.Nursery) -> None:
        """Callers at work, while things go wrong."""
        pace_s = self._random.choice((0.3, 2.0, 6.0))
        clients = self._random.randint(1, 4)
        async with trio.open_nursery() as trouble:
            trouble.start_soon(faults.answer, self._random.choice((3.0, 30.0)))
            trouble.start_soon(faults.run, self._random.randint(0, 12), self._random.choice((1.0, 5.0, 10.0)))
            async with trio.open_nursery() as callers:
                for number in range(clients):
                    client = Client(self._machine, self._ledger, self._fork(f"client {number}"))
                    callers.start_soon(client.run, STEPS // clients, pace_s)
                await trio.sleep(pace_s * 5)
                if self._ledger.sessions:
                    stream = f"session-{self._ledger.sessions[0]}"
                    self._read(readers, StreamReader(self._machine, self._fork("stream reader"), stream))
            trouble.cancel_scope.cancel()
        faults.calm()

    # --------------------------------------------------------------------------------------------------------- quiet

    async def _quiet(self, faults: Faults) -> None:
        """Let everything settle, try whether sessions still work, start again, and let it settle again."""
        if self._machine.policy.instances_max < INSTANCES_MAX:
            self._machine.crash()
        self._machine.relax()
        await switch_webhooks(self._machine, enabled=True)
        await undrain(self._machine)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(faults.answer, 5.0)
            await self._settle()
            await self._probe()
            how = self._random.choice(("crash", "restart", "views lost"))
            if how == "restart":
                await self._machine.restart()
            elif how == "views lost":
                self._machine.lose_views()
            self._machine.crash()
            await self._settle()
            nursery.cancel_scope.cancel()
        await self._leave_a_question()

    async def _leave_a_question(self) -> None:
        """Have some sessions wait for a person at the end, before another start or none."""
        views = (await self._machine.fleet()).fleet.views
        willing = [state for state in views.sessions if state.phase == "idle" and not state.usage.exceeded]
        for number, session in enumerate(self._random.sample(willing, min(self._random.randint(0, 2), len(willing)))):
            await self._put(Probe(session.id, f"last-{number}. {self._random.choice(('ask', 'question'))}"))
        if self._random.random() < 0.3:
            await trio.sleep(self._random.uniform(0, 3))
            self._machine.crash()
        await self._settle()
        await trio.sleep(WORKSPACE_SWEEP_S + 1)  # every workspace is looked at
        await self._settle()

    async def _settle(self) -> None:
        """Wait until nothing is under way, as Fleet and as the world tells it, and the readers have it all."""
        quiet, unfinished = 0, ["nothing runs"]
        with trio.move_on_after(SETTLE_S):
            while quiet < 2:
                fleet = await self._machine.fleet()
                await trio.sleep(2)
                living = {process.instance_id for process in self._machine.living()}
                unfinished = _unfinished(fleet.fleet.views, living)
                unfinished += [f"reader {reader.stream}" for reader in self._readers if not reader.is_through(fleet)]
                quiet = 0 if unfinished or fleet.gone.is_set() else quiet + 1
            return
        raise Failure(self._seed, [f"not settled after {SETTLE_S:.0f} s: {unfinished}"], await self._evidence())

    async def _probe(self) -> None:
        """Prompt some sessions in all states; what failed or waits before the prompt gets out of its way."""
        sessions = list((await self._machine.fleet()).fleet.views.sessions)
        chosen = self._random.sample(sessions, min(PROBES, len(sessions)))
        for _ in range(PROBE_ATTEMPTS):
            if not chosen:
                return
            for session in chosen:
                probe = Probe(session.id, f"probe-{len(self._probes)}.")
                self._probes.append(probe)
                await self._put(probe)
            await self._settle()
            views = (await self._machine.fleet()).fleet.views
            states = [state for each in chosen if (state := views.sessions.get(each.id)) is not None]
            chosen = [state for state in states if state.queue.prompts or state.has_lost_conversation]

    async def _put(self, probe: Probe) -> None:
        prompt = NewPrompt(probe.mark)
        await self._machine.call(lambda fleet: fleet.sessions.set_budget(probe.session, None, Caller()))
        state = (await self._machine.fleet()).fleet.views.sessions.get(probe.session)
        if state is not None and state.has_lost_conversation:
            await self._machine.call(lambda fleet: fleet.sessions.resume(probe.session, Caller(), fresh=True))
        await self._mend_workspace(state)
        heard = await self._machine.call(
            lambda fleet: fleet.sessions.prompt(probe.session, prompt, resume=True, caller=Caller())
        )
        probe.refusal = str(heard) if isinstance(heard, Problem) else None

    async def _mend_workspace(self, session: State | None) -> None:
        """Do what the hints of a workspace that is missing or cut off say."""
        workspaces = (await self._machine.fleet()).fleet.views.workspaces
        workspace = None if session is None else workspaces.get(session.workspace_id)
        spec = None if workspace is None else workspace.spec
        if workspace is None or spec is None or spec.strategy == "existing":
            return
        await rebind(self._machine, workspace.id)
        directory = spec.directory if workspace.prepared is None else workspace.prepared.directory
        missing = workspace.fault == "missing" or directory not in self._machine.machine_at(directory).disk.directories
        if missing and workspace.phase in ("ready", "failed"):
            await self._machine.call(lambda fleet: fleet.endings.restore(workspace.id, Caller()))

    # -------------------------------------------------------------------------------------------------------- checks

    async def _evidence(self) -> Evidence:
        machine = self._machine
        fleet = (await machine.fleet()).fleet
        replies = {
            state.id: (await fleet.sessions.edit(state.id, None, None, Caller())).session
            for state in list(fleet.views.sessions)
        }
        found = await fleet.history.search(HistorySearch(limit=HISTORY_PAGE_MAX))
        return Evidence(
            machine.disk,
            machine.store,
            fleet.views,
            one_world(machine.machines, opencode_placed_by(fleet.views)),
            one_disk(machine.machines, placed_by(fleet.views)),
            self._ledger,
            self._readers,
            self._probes,
            replies,
            machine.overlaps,
            crowds=machine.crowds,
            found={each.id: each.status for each in found.sessions},
            transcripts={state.id: await _transcript(fleet, state.id) for state in list(fleet.views.sessions)},
            got=machine.sender.got,
            ran=machine.ran,
            committed=machine.committed,
            machines=machine.machines,
            reserved=machine.cluster.reserved,
            unreported=list(machine.witness.complaints),
            lease_s=machine.cluster.lease_s,
        )

    def _check(self, evidence: Evidence) -> None:
        complaints = list(self._watch.complaints)
        complaints += [f"{check.__name__}: {found}" for check in CHECKS for found in check(evidence)]
        if complaints:
            raise Failure(self._seed, complaints, evidence)

    async def _check_reservations(self, evidence: Evidence) -> None:
        """Stop all sessions, and look at the room that is still reserved."""
        if not evidence.nodes:
            return
        for session in list((await self._machine.fleet()).fleet.views.sessions):
            await self._stop(session.id)
        await self._settle()
        await trio.sleep(ROOM_SWEEP_S + 1)
        evidence.left_slots = sorted(self._machine.cluster.slots)
        if complaints := list(no_reservation_is_left(evidence)):
            raise Failure(self._seed, complaints, evidence)

    async def _stop(self, session_id: str) -> None:
        await self._machine.call(lambda fleet: fleet.sessions.stop(session_id, Caller()))

    def _check_nothing_runs(self, evidence: Evidence) -> None:
        """An orderly end leaves no process behind (process safety)."""
        if left := self._machine.leftovers:
            raise Failure(self._seed, [f"outlived an orderly end: {left}"], evidence)


def nodes_of(seed: int) -> int:
    """Return how many machines there are beside the server's: in every third run there are some."""
    return 0 if seed % 3 else Random(f"{seed} nodes").randint(1, 3)


def placed_by(views: Views) -> dict[str, str]:
    """Return the host of each workspace."""
    return {state.id: state.spec.host for state in views.workspaces if state.spec is not None}


def opencode_placed_by(views: Views) -> dict[str, str]:
    """Return the host of each of OpenCode's sessions."""
    placed = placed_by(views)
    return {state.opencode.session_id: placed.get(state.workspace_id, LOCAL) for state in views.sessions}


def furnish(machine: Machine) -> None:
    """Put repositories and directories on the machine."""
    machine.directories.add_repository("/src/shop")
    machine.directories.add_repository("/src/blog")
    machine.directories.directories |= {"/src/notes", "/etc"}
    machine.directories.files.add("/src/file")
