"""What the simulation has found, each as the shortest story that shows it."""

import errno
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import structlog.testing
import trio
from trio.testing import MockClock

from fleet.actors.caller import Caller
from fleet.actors.context import Policy
from fleet.actors.fleet import Fleet
from fleet.actors.prompt import NewPrompt
from fleet.actors.usecases.removal import Ending
from fleet.actors.usecases.sessions import CommandResult, NewSession
from fleet.core.instance.events import InstanceRequested
from fleet.core.session.events import ProvisionFailed, SessionErased
from fleet.core.session.state import State
from fleet.core.session.turn_events import ChangesRecorded, TurnEnded
from fleet.core.session.values import SessionSettings
from fleet.errors import Problem
from fleet.ports import Strategy
from fleet.projections.transcripts import Where
from tests.fakes.opencode_process import FakeProcess
from tests.simulation.machine import Machine
from tests.simulation.run import furnish
from tests.simulation.watch import Watch

ME = Caller()


@asynccontextmanager
async def running(policy: Policy = Policy()) -> AsyncGenerator[Machine]:  # noqa: B008 - a frozen value
    """A machine with a Fleet on it; no actor may crash, and nothing may run unseen."""
    with structlog.testing.capture_logs() as logged:
        async with trio.open_nursery() as nursery:
            machine = Machine(1, nursery)
            watch = Watch(machine)
            machine.policy = policy
            furnish(machine)
            nursery.start_soon(machine.run)
            nursery.start_soon(watch.run)
            yield machine
            nursery.cancel_scope.cancel()
    assert watch.complaints == []
    assert [each for each in logged if each["log_level"] == "error" and not machine.bugs.explain(each)] == []


async def fleet_of(machine: Machine) -> Fleet:
    return (await machine.fleet()).fleet


async def create(
    machine: Machine, prompt: str | None = None, directory: str = "/src/shop", strategy: Strategy = "existing"
) -> State:
    initial = None if prompt is None else NewPrompt(prompt)
    new = NewSession(directory, SessionSettings(title="a session", strategy=strategy), initial)
    return (await (await fleet_of(machine)).sessions.create(new, ME)).session


async def prompt(machine: Machine, session: State, text: str) -> CommandResult:
    sessions = (await fleet_of(machine)).sessions
    return await sessions.prompt(session.id, NewPrompt(text), resume=True, caller=ME)


async def stop_session(machine: Machine, session: State) -> None:
    """Terminate it; whether the answer comes through is no matter."""

    async def order(fleet: Fleet) -> CommandResult:
        return await fleet.sessions.stop(session.id, ME)

    await machine.call(order)


async def create_in_vain(machine: Machine) -> None:
    """Create a session that is stopped before it is ready."""

    async def order(fleet: Fleet) -> CommandResult:
        return await fleet.sessions.create(NewSession("/src/shop"), ME)

    await machine.call(order)


async def until(machine: Machine, session_id: str, holds: Callable[[State], bool]) -> State:
    with trio.fail_after(1000):
        return await (await fleet_of(machine)).views.sessions.wait(session_id, holds)


async def dead(process: FakeProcess) -> None:
    with trio.fail_after(60):
        await process.exited.wait()


async def test_a_stop_that_a_crash_cut_short_is_finished(autojump_clock: MockClock) -> None:
    """It had taken the password away, connecting for the abort failed, and the actor crashed again and again."""
    async with running() as machine:
        session = await create(machine)
        process = machine.world.living()[0]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_session, machine, session)
            await until(machine, session.id, lambda state: state.phase == "stopped")
            machine.disk.full = True  # the stop goes through, and its record does not
            await dead(process)
            await trio.sleep(1)
            machine.crash()
            machine.disk.full = False
        instances = (await fleet_of(machine)).views.instances
        with trio.fail_after(100):
            await instances.wait(process.instance_id, lambda state: state.phase == "stopped")


async def test_a_session_that_is_stopped_while_its_instance_starts_does_not_keep_it(
    autojump_clock: MockClock,
) -> None:
    """It was attached already, which no one knew, and its process ran on without a session."""
    async with running() as machine:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(create_in_vain, machine)
            await trio.sleep(0.5)
            views = (await fleet_of(machine)).views
            session = next(iter(views.sessions))
            assert session.provisioning == "instance"
            await stop_session(machine, session)
        await trio.sleep(60)
        assert machine.world.living() == ()


async def test_a_prompt_whose_session_is_stopped_on_its_way_does_not_run(autojump_clock: MockClock) -> None:
    """OpenCode stored it after the end, and ran it beside or with the next turn."""
    async with running() as machine:
        await create(machine)  # another one keeps the process
        session = await create(machine)
        accepted = await prompt(machine, session, "never to be run turn:20")
        turn = accepted.session.turn
        assert turn is not None
        await trio.sleep(0.05)  # sent, and not stored yet: the directory is cold
        assert not machine.world.store.messages
        await stop_session(machine, session)
        await trio.sleep(20)
        assert machine.world.finished_turns[turn.message_id] == 0


async def test_a_full_disk_does_not_give_a_stop_up(autojump_clock: MockClock) -> None:
    """The detaching crashed the session's actor; after five attempts the stop was not resumed."""
    async with running() as machine:
        session = await create(machine)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_session, machine, session)
            await until(machine, session.id, lambda state: state.stopping)
            machine.disk.full = True
            await trio.sleep(120)
            machine.disk.full = False
        await until(machine, session.id, lambda state: state.phase == "stopped")


async def test_a_long_turn_is_recorded_whole_when_its_session_is_stopped(autojump_clock: MockClock) -> None:
    """Only the newest fifty messages were read, and what a broken event stream had swallowed before was lost."""
    async with running() as machine:
        session = await create(machine, "turn:90")
        await until(machine, session.id, lambda state: state.turn is not None and state.turn.delivered)
        for _ in range(5):
            machine.world.living()[0].break_streams()
            await trio.sleep(0.2)
        await trio.sleep(8)
        await stop_session(machine, session)
        state = await until(machine, session.id, lambda state: state.phase == "stopped")
        stored = [message.read() for message in machine.world.store.transcript(session.opencode.session_id)]
        assert len(stored) > 60
        page = await (await fleet_of(machine)).transcripts.page(f"session-{state.id}", Where(10_000))
        assert [bytes(message.info) for message in page.messages] == [message.info.raw for message in stored]


async def changes(machine: Machine, session: State) -> list[set[str]]:
    """Return the files of every recorded diff of a turn."""
    fleet = await fleet_of(machine)
    events = [recorded.event for recorded in fleet.log.read_stream(f"session-{session.id}")]
    recorded = [event for event in events if isinstance(event, ChangesRecorded)]
    return [{file.file for file in fleet.diffs.manifest(each.turn_manifest).files} for each in recorded]


async def end(machine: Machine, session: State, *, permanent: bool = False) -> Ending | Problem | None:
    async def order(fleet: Fleet) -> Ending:
        return await fleet.endings.end(session.id, ME, cleanup=True, permanent=permanent, force=False)

    return await machine.call(order)


async def test_two_sessions_that_come_at_once_do_not_pass_the_limit_of_processes(autojump_clock: MockClock) -> None:
    """Each had looked for room before the other's process was in the log."""

    async def come(directory: str) -> None:
        with suppress(Problem):
            await create(machine, directory=directory)

    async with running(Policy(instances_max=1)) as machine:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(come, "/src/shop")
            nursery.start_soon(come, "/src/notes")
        assert len(machine.world.living()) == 1
        assert machine.crowds == []


async def test_a_worktree_stays_as_long_as_another_session_works_there(autojump_clock: MockClock) -> None:
    """Its directory was another workspace of its own, whose claims were not asked for."""
    async with running() as machine:
        host = await create(machine, strategy="worktree")
        guest = await create(machine, directory=host.directory)
        await end(machine, host)
        assert host.directory in machine.directories.directories
        await prompt(machine, guest, "hello")
        await until(machine, guest.id, lambda state: state.last_outcome == "finished")


async def test_what_a_guest_changes_in_a_worktree_is_the_guests(autojump_clock: MockClock) -> None:
    """The next turn of the worktree's own session had it in its diff."""
    async with running() as machine:
        host = await create(machine, strategy="worktree")
        guest = await create(machine, "write", directory=host.directory)
        await until(machine, guest.id, lambda state: state.last_outcome == "finished")
        await prompt(machine, host, "hello")
        await until(machine, host.id, lambda state: state.last_outcome == "finished")
        assert len((await changes(machine, guest))[0]) == 2
        assert await changes(machine, host) == [set()]


async def test_a_crash_before_the_end_of_a_turn_does_not_empty_its_diff(autojump_clock: MockClock) -> None:
    """It was recorded again, from the tree that the first record had left as the newest."""
    async with running() as machine:
        machine.traps.append((ChangesRecorded, 1))
        session = await create(machine, "write", strategy="worktree")
        await trio.sleep(10)  # the crash comes now
        await until(machine, session.id, lambda state: state.last_outcome == "finished")
        first, second = await changes(machine, session)
        assert len(first) == 2
        assert first == second


async def test_an_erasure_that_a_crash_cuts_short_leaves_no_blobs_when_the_views_are_lost(
    autojump_clock: MockClock,
) -> None:
    """The log said that everything was erased, so the blobs were not searched."""
    async with running() as machine:
        for steps in range(1, 30, 2):
            session = await create(machine, "write")
            await until(machine, session.id, lambda state: state.last_outcome == "finished")
            machine.traps.append((SessionErased, steps))
            await end(machine, session, permanent=True)
            machine.lose_views()
            machine.crash()
            await trio.sleep(10)
            assert (await fleet_of(machine)).views.sessions.erasing == []
            machine.traps.clear()
            assert f"session-{session.id}" not in machine.disk.owned


async def test_an_instance_that_answers_again_after_a_restart_is_not_unreachable(autojump_clock: MockClock) -> None:
    """The new Fleet did not know that the old one had found it silent, and never said that it answers."""
    async with running() as machine:
        await create(machine)
        process = machine.world.living()[0]
        process.hang()
        with trio.fail_after(100):
            await (await fleet_of(machine)).views.instances.wait(
                process.instance_id, lambda s: s.phase == "unreachable"
            )
        machine.crash()
        process.resume()
        await trio.sleep(10)
        instance = (await fleet_of(machine)).views.instances.get(process.instance_id)
        assert instance is not None
        assert instance.phase == "ready"


async def test_a_callback_that_a_shutdown_causes_starts_no_process(autojump_clock: MockClock) -> None:
    """The parent was resumed for it, after the list of the processes to be stopped was made."""
    async with running(Policy(sharing="directory")) as machine:
        parent = await create(machine)
        settings = SessionSettings(title="a child", strategy="existing")
        new = NewSession("/src/notes", settings, NewPrompt("hello"), notify_session=parent.id)
        machine.world.fail_next_spawn("never_ready")

        async def order(fleet: Fleet) -> CommandResult:
            return await fleet.sessions.create(new, ME)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(machine.call, order)
            await machine.restart_at(InstanceRequested, 60)
        assert machine.leftovers == []
        told = await until(machine, parent.id, lambda state: state.last_outcome == "finished")
        assert "a child" in told.asked


async def test_a_shutdown_on_a_full_disk_leaves_no_process(autojump_clock: MockClock) -> None:
    """The order to stop could not be recorded, so the processes ran on, without a Fleet."""
    async with running() as machine:
        session = await create(machine)
        machine.disk.full = True
        await machine.restart(downtime_s=1)
        machine.disk.full = False
        assert machine.leftovers == []
        await until(machine, session.id, lambda state: state.phase == "disconnected")


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.3, 0.8, 1.5, 1.9])
async def test_a_prompt_that_is_to_steer_a_resumed_turn_is_not_run_unseen(
    autojump_clock: MockClock, after_s: float
) -> None:
    """The turn was called interrupted while OpenCode worked at the new prompt, and the next one merged into that."""
    async with running() as machine:
        session = await create(machine, "turn:90")
        await until(machine, session.id, lambda state: state.turn is not None and state.turn.delivered)
        await trio.sleep(2)
        machine.world.kill(machine.world.living()[0].instance_id)
        await until(machine, session.id, lambda state: state.phase == "disconnected")
        sessions = (await fleet_of(machine)).sessions
        await sessions.resume(session.id, ME)
        await trio.sleep(after_s)
        await sessions.prompt(session.id, NewPrompt("bash:20", steer=True), resume=True, caller=ME)
        await trio.sleep(10)
        await sessions.prompt(session.id, NewPrompt("hello"), resume=True, caller=ME)
        await until(machine, session.id, lambda state: state.phase == "idle" and not state.queue.prompts)
        events = [recorded.event for recorded in (await fleet_of(machine)).log.read_stream(f"session-{session.id}")]
        ends = [event.outcome for event in events if isinstance(event, TurnEnded)]
        assert ends == ["interrupted", "finished", "finished"]


async def test_a_probe_that_meets_a_full_disk_does_not_call_a_workspace_gone(autojump_clock: MockClock) -> None:
    """A resume asked whether the directory is there, could not, and the session said that its workspace was gone."""
    async with running() as machine:
        session = await create(machine, strategy="worktree")
        await stop_session(machine, session)
        machine.os_errors = (errno.ENOSPC,)
        for _ in range(10):
            await machine.call(lambda fleet: fleet.sessions.resume(session.id, ME))
            await stop_session(machine, session)
        machine.os_errors = ()
        events = [recorded.event for recorded in (await fleet_of(machine)).log.read_stream(f"session-{session.id}")]
        assert {event.code for event in events if isinstance(event, ProvisionFailed)} == {"disk_full"}


async def test_a_workspace_that_a_removal_has_taken_is_not_called_ready(autojump_clock: MockClock) -> None:
    """The directory was gone, then a full disk kept its variables, and the removal was said to have failed."""
    async with running() as machine:
        for _ in range(10):
            session = await create(machine, "write", strategy="worktree")
            await until(machine, session.id, lambda state: state.last_outcome == "finished")
            machine.os_errors = (errno.ENOSPC,)
            await end(machine, session)
            machine.os_errors = ()
            workspace = (await fleet_of(machine)).views.workspaces.get(session.workspace_id)
            assert workspace is not None
            assert (workspace.phase == "ready") == (session.directory in machine.directories.directories)


async def test_a_restore_finds_a_missing_workspace_before_the_sweep(autojump_clock: MockClock) -> None:
    """It was called ready, as the last look had found it, and nothing was restored."""
    async with running() as machine:
        session = await create(machine, strategy="worktree")
        machine.directories.directories.remove(session.directory)
        restored = await (await fleet_of(machine)).endings.restore(session.workspace_id, ME)
        assert restored.phase == "ready"
        assert session.directory in machine.directories.directories


@pytest.mark.parametrize("after_s", [0.15, 0.3, 0.8])
async def test_a_turn_that_runs_is_followed_though_its_workspace_is_lost(
    autojump_clock: MockClock, after_s: float
) -> None:
    """The next Fleet called the turn failed, because nothing is sent to a missing workspace; it had been sent."""
    async with running() as machine:
        session = await create(machine, "bash:20", directory="/src/notes")
        await until(machine, session.id, lambda state: state.turn is not None)
        await trio.sleep(after_s)
        machine.directories.directories.remove("/src/notes")
        machine.crash()
        await until(machine, session.id, lambda state: state.last_outcome == "finished")
