"""What goes wrong in a run: crashes between any two steps, dying and hanging processes, a full disk, lost views."""

import errno
from random import Random
from typing import Any, Final

import trio

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.core.instance.events import InstanceRequested, InstanceSpawned, InstanceStopRequested
from fleet.core.session.events import (
    CallbackDelivered,
    CallbackOrdered,
    InstanceAttached,
    ResumeRequested,
    SessionCompleted,
    SessionCreated,
    SessionErased,
    SetupEnded,
    SetupHeld,
    SetupOutput,
    SetupStarted,
    StopRequested,
    WorkspaceAttached,
)
from fleet.core.session.state import is_held
from fleet.core.session.turn_events import ChangesRecorded, PromptAccepted, RequestAnswered, RequestOpened, TurnEnded
from fleet.core.webhook.events import DeliveryOrdered, WebhookEnabled
from fleet.core.workspace.events import (
    WorkPreserved,
    WorkspaceClaimed,
    WorkspaceRemovalRequested,
    WorkspaceRestoreRequested,
    WorkspaceTornDown,
)
from fleet.ports import Recipe
from tests.fakes.machine import FakeMachine
from tests.fakes.opencode_host import ImportFault
from tests.fakes.opencode_process import FakeProcess, SpawnFault
from tests.fakes.workspaces import FakeCheckout
from tests.simulation.bugs import KINDS
from tests.simulation.host_faults import HostFaults
from tests.simulation.machine import Machine

IMPORT_FAULTS: Final[tuple[ImportFault, ...]] = ("refused", "silent")
SPAWN_FAULTS: Final[tuple[SpawnFault, ...]] = (
    "missing",
    "not_executable",
    "exits",
    "never_ready",
    "port_taken",
    "no_space",
)
TRAPS: Final[tuple[type[Any], ...]] = (
    *(WorkspaceRemovalRequested, WorkPreserved, WorkspaceRestoreRequested, WorkspaceClaimed),
    *(SessionErased, StopRequested, ChangesRecorded, SessionCompleted, ResumeRequested),
    *(CallbackOrdered, CallbackOrdered, CallbackDelivered, RequestOpened, RequestAnswered, PromptAccepted),
    *(TurnEnded, TurnEnded, DeliveryOrdered, WebhookEnabled),
    *(SetupHeld, SetupStarted, SetupOutput, SetupEnded, WorkspaceTornDown),
)
"""Events whose consequences are many steps: a crash is put between them."""

STOPS: Final[tuple[type[Any], ...]] = (
    *(SessionCreated, WorkspaceAttached, InstanceRequested, InstanceSpawned, InstanceAttached),
    *(ResumeRequested, CallbackOrdered, InstanceStopRequested),
)
"""Events after which something is half-way to a process, or to an end of it: Fleet is stopped in order there."""

OS_ERRORS: Final = ((errno.ENOSPC,), (errno.EMFILE,), (errno.EACCES, errno.EIO, errno.EXDEV))
"""What calls of the operating system meet for a while."""

RECIPES: Final = (
    Recipe("a" * 64, setup="make", teardown="make clean"),
    Recipe("b" * 64, setup="npm ci"),
    Recipe("c" * 64, teardown="docker compose down"),
    Recipe("d" * 64, problem="it is no TOML"),
)
"""What the file of a repository asks for, at one time or another."""

FREE_BYTES: Final = 8 * 1024**3


class Faults:
    """A seeded bringer of trouble. `calm` ends what lasts."""

    def __init__(self, machine: Machine, random: Random) -> None:
        self._machine = machine
        self._random = random
        self._hosts = HostFaults(machine, random)

    async def run(self, count: int, pace_s: float) -> None:
        faults = {
            self._crash_soon: 6,
            self._crash_after_steps: 6,
            self._set_trap: 12,
            self._take_memory: 3,
            self._restart: 2,
            self._restart_at: 4,
            self._reboot: 1,
            self._kill_process: 5,
            self._hang_process: 2,
            self._drop_events: 4,
            self._fail_spawns: 2,
            self._cut_imports: 4,
            self._delete_conversation: 3,
            self._fill_disk: 3,
            self._fail_calls: 5,
            self._meet_bugs: 4,
            self._lose_views: 2,
            self._switch_webhooks_off: 3,
            self._change_recipe: 4,
            self._delete_checkout: 8,
            self._take_away: 8,
            self._rename_repository: 6,
            self._commit: 8,
            self._break_scripts: 8,
            **self._hosts.weights(),
        }
        async with trio.open_nursery() as lasting:
            for _ in range(count):
                await trio.sleep(self._random.expovariate(1 / pace_s))
                fault = self._random.choices(list(faults), list(faults.values()))[0]
                if fault in self._hosts.weights():  # other things go wrong meanwhile
                    lasting.start_soon(fault)
                else:
                    await fault()

    async def answer(self, patience_s: float) -> None:
        """A person looks at what OpenCode and set-ups ask for now and then, and answers."""
        while True:
            await trio.sleep(self._random.uniform(0, patience_s))
            await decide_on_a_set_up(self._machine, self._random)
            if asked := [(process, request) for process in self._machine.living() for request in process.requests]:
                process, request = self._random.choice(asked)
                process.answer(request)

    def calm(self) -> None:
        self._machine.world.free_memory_bytes = FREE_BYTES
        self._hosts.calm()
        self._machine.disk.full = self._machine.disk.low = False
        self._machine.os_errors = ()
        self._machine.bugs.kinds = ()
        for each in self._machine.machines:
            each.world.spawn_faults.clear()
            each.world.import_faults.clear()
        self._mend_scripts()
        for process in self._machine.living():
            process.resume()

    def _a_process(self) -> FakeProcess | None:
        living = self._machine.living()
        return self._random.choice(living) if living else None

    def _downtime_s(self) -> float:
        return self._random.choice((0.0, 0.0, self._random.uniform(0, 3), self._random.uniform(0, 40)))

    # ---------------------------------------------------------------------------------------------------- to Fleet

    async def _crash_soon(self) -> None:
        await trio.sleep(self._random.uniform(0, 0.1))
        self._machine.crash(downtime_s=self._downtime_s())

    async def _crash_after_steps(self) -> None:
        self._machine.crash_after(self._random.randint(1, 400))

    async def _set_trap(self) -> None:
        self._machine.traps.append((self._random.choice(TRAPS), self._random.randint(1, 60)))

    async def _restart(self) -> None:
        await self._machine.restart(downtime_s=self._downtime_s())

    async def _restart_at(self) -> None:
        await self._machine.restart_at(self._random.choice(STOPS), 20.0, downtime_s=self._downtime_s())

    async def _lose_views(self) -> None:
        self._machine.lose_views()
        self._machine.crash(downtime_s=0.0)

    async def _reboot(self) -> None:
        self._machine.crash(downtime_s=self._random.uniform(1, 20))
        self._machine.world.reboot()

    async def _switch_webhooks_off(self) -> None:
        await switch_webhooks(self._machine, enabled=False)
        await trio.sleep(self._random.uniform(0, 10))
        await switch_webhooks(self._machine, enabled=True)

    async def _fill_disk(self) -> None:
        disk = self._machine.disk
        disk.low, disk.full = True, self._random.random() < 0.5
        await trio.sleep(self._random.uniform(0.1, 10))
        disk.low = disk.full = False

    async def _fail_calls(self) -> None:
        self._machine.os_errors = self._random.choice(OS_ERRORS)
        await trio.sleep(self._random.choice((0.2, 2.0, 20.0)))
        self._machine.os_errors = ()

    async def _meet_bugs(self) -> None:
        """Effects meet errors that no code expects, for as long as a restart or many of them take."""
        self._machine.bugs.kinds = KINDS
        await trio.sleep(self._random.choice((0.2, 2.0, 20.0)))
        self._machine.bugs.kinds = ()

    async def _change_recipe(self) -> None:
        self._machine.scripts.recipe = self._random.choice((None, *RECIPES))

    async def _break_scripts(self) -> None:
        """Let scripts fail, or take long: longer than they may, or than the others wait."""
        scripts = self._machine.scripts
        if self._random.random() < 0.5:
            scripts.ends = {text: 1 for recipe in RECIPES for text in (recipe.setup, recipe.teardown)}
        scripts.lasts_s = self._random.choice((0.01, 1.0, 10.0, 1000.0))
        await trio.sleep(self._random.choice((2.0, 20.0, 60.0)))
        self._mend_scripts()

    def _mend_scripts(self) -> None:
        scripts = self._machine.scripts
        scripts.ends, scripts.lasts_s = {}, 0.01
        if scripts.recipe is not None and scripts.recipe.problem:
            scripts.recipe = RECIPES[0]

    async def _take_memory(self) -> None:
        self._machine.world.free_memory_bytes = 0
        await trio.sleep(self._random.choice((1.0, 20.0, 70.0)))
        self._machine.world.free_memory_bytes = FREE_BYTES

    # --------------------------------------------------------------------------------------------- to workspaces

    def _a_machine(self) -> FakeMachine:
        machines = self._machine.machines
        return self._random.choice(machines) if len(machines) > 1 else machines[0]

    def _a_checkout(self) -> FakeCheckout | None:
        disks = [each.disk for each in self._machine.machines if each.powered]
        there = [
            made
            for disk in disks
            for made in disk.checkouts.values()
            if made.whole and made.spec.directory in disk.directories
        ]
        return self._random.choice(there) if there else None

    async def _delete_checkout(self) -> None:
        """A person deletes the directory of a workspace, with all that is in it."""
        if (made := self._a_checkout()) is not None:
            self._lose(made.spec.directory)
            if made.spec.strategy == "clone":
                self._machine.committed.pop(made.spec.workspace_id, None)

    def _lose(self, directory: str) -> None:
        """Let a directory go, and forget what agents wrote in it: that is a person's doing."""
        machine = self._machine.machine_at(directory)
        machine.disk.directories.discard(directory)
        machine.disk.contents.pop(directory, None)
        machine.world.written = [each for each in machine.world.written if each.directory != directory]

    async def _take_away(self) -> None:
        """A person moves a directory away and brings it back."""
        disk = self._a_machine().disk
        mirrors = {top for each in self._machine.cluster.nodes for top in each.disk.repositories}
        if not (present := sorted(disk.directories - mirrors - {"/etc"})):
            return
        directory = self._random.choice(present)
        contents, repository = disk.contents.get(directory), disk.repositories.pop(directory, None)
        self._lose(directory)
        try:
            await trio.sleep(self._random.choice((0.5, 5.0, 50.0)))
        finally:
            if repository is not None:
                disk.repositories[directory] = repository
            if repository is not None or disk.checkout_at(directory) is not None or directory == "/src/notes":
                if directory not in disk.directories and contents is not None:
                    disk.contents[directory] = contents
                disk.directories.add(directory)

    async def _rename_repository(self) -> None:
        """A person renames a project for good."""
        machine = self._machine
        if machine.directories.repositories:
            top = self._random.choice(list(machine.directories.repositories))
            machine.moved[top] = f"{top}+"
            machine.directories.move_repository(top, f"{top}+")
            machine.world.written = [each for each in machine.world.written if each.directory != top]

    async def _commit(self) -> None:
        """An agent commits, and now and then begins a branch without a commit then."""
        if (made := self._a_checkout()) is not None:
            commit = f"commit {self._random.getrandbits(160):040x}"
            made.work.append(commit)
            made.unborn = "fresh" if self._random.random() < 0.5 else None
            self._machine.committed.setdefault(made.spec.workspace_id, []).append(commit)

    # ------------------------------------------------------------------------------------------------- to OpenCode

    async def _kill_process(self) -> None:
        process = self._a_process()
        if process is not None:
            process.world.kill(process.instance_id)

    async def _hang_process(self) -> None:
        process = self._a_process()
        if process is not None:
            process.hang()
            await trio.sleep(self._random.choice((2.0, 20.0, 60.0)))
            process.resume()

    async def _drop_events(self) -> None:
        process = self._a_process()
        if process is not None:
            process.break_streams()

    async def _fail_spawns(self) -> None:
        for _ in range(self._random.randint(1, 2)):
            self._a_machine().world.fail_next_spawn(self._random.choice(SPAWN_FAULTS))

    async def _cut_imports(self) -> None:
        self._a_machine().world.import_faults.append(self._random.choice(IMPORT_FAULTS))

    async def _delete_conversation(self) -> None:
        """A person deletes what OpenCode has of a session."""
        world = self._a_machine().world
        if own := [each for each, session in world.store.sessions.items() if "parentID" not in session]:
            world.delete_session(self._random.choice(own))


async def decide_on_a_set_up(machine: Machine, random: Random) -> None:
    """Let a person allow the commands of a set-up that waits, or have one skipped, where there is one."""
    held = [state for state in (await machine.fleet()).fleet.views.sessions if is_held(state)]
    if not held:
        return
    session = random.choice(held)
    digest = "" if session.setup is None else session.setup.recipe.digest
    if random.random() < 0.8:
        await machine.call(lambda fleet: fleet.trust.allow_for(session.id, digest, Caller()))
    else:
        await machine.call(lambda fleet: fleet.sessions.skip_setup(session.id, Caller()))


async def rebind(machine: Machine, workspace_id: str) -> None:
    """Bind a worktree or clone to where its repository is now, if that was moved."""
    workspace = (await machine.fleet()).fleet.views.workspaces.get(workspace_id)
    spec = None if workspace is None else workspace.spec
    if spec is None or spec.strategy == "existing" or spec.source_directory not in machine.moved:
        return
    source = spec.source_directory
    while source in machine.moved:
        source = machine.moved[source]
    await machine.call(lambda fleet: fleet.rebinding.rebind(workspace_id, source, Caller()))


async def switch_webhooks(machine: Machine, *, enabled: bool) -> None:
    """Enable or disable every webhook, as far as Fleet lives to hear of it."""

    async def switch(fleet: Fleet) -> None:
        for webhook in list(fleet.views.webhooks):
            await fleet.webhooks.switch(webhook.id, Caller(), enabled=enabled)

    await machine.call(switch)
