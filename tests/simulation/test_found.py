"""What the simulation has found, each as the shortest story that shows it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import structlog.testing
import trio
from trio.testing import MockClock

from fleet.actors.orders import Caller, NewPrompt, NewSession, Outcome
from fleet.actors.tree import Tree
from fleet.core.session.state import State
from tests.fakes.opencode_process import FakeProcess
from tests.simulation.machine import Machine
from tests.simulation.run import furnish

ME = Caller()


@asynccontextmanager
async def running() -> AsyncGenerator[Machine]:
    """A machine with a Fleet on it; no actor may crash."""
    with structlog.testing.capture_logs() as logged:
        async with trio.open_nursery() as nursery:
            machine = Machine(1, nursery)
            furnish(machine)
            nursery.start_soon(machine.run)
            yield machine
            nursery.cancel_scope.cancel()
    assert [entry for entry in logged if entry["log_level"] == "error"] == []


async def tree(machine: Machine) -> Tree:
    return (await machine.fleet()).tree


async def create(machine: Machine, prompt: str | None = None) -> State:
    new = NewSession("/src/shop", "a session", initial_prompt=None if prompt is None else NewPrompt(prompt))
    return (await (await tree(machine)).orders.create(new, ME)).session


async def prompt(machine: Machine, session: State, text: str) -> Outcome:
    orders = (await tree(machine)).orders
    return await orders.prompt(session.id, NewPrompt(text), resume=True, caller=ME)


async def terminate(machine: Machine, session: State) -> None:
    """Terminate it; whether the answer comes through is no matter."""

    async def order(tree: Tree) -> Outcome:
        return await tree.orders.terminate(session.id, ME)

    await machine.call(order)


async def create_in_vain(machine: Machine) -> None:
    """Create a session that is terminated before it is ready."""

    async def order(tree: Tree) -> Outcome:
        return await tree.orders.create(NewSession("/src/shop"), ME)

    await machine.call(order)


async def until(machine: Machine, session_id: str, holds: Callable[[State], bool]) -> State:
    with trio.fail_after(1000):
        return await (await tree(machine)).views.sessions.wait(session_id, holds)


async def dead(process: FakeProcess) -> None:
    with trio.fail_after(60):
        await process.exited.wait()


async def test_a_stop_that_a_crash_cut_short_is_finished(autojump_clock: MockClock) -> None:
    """It had taken the password away, connecting for the abort failed, and the actor crashed again and again."""
    async with running() as machine:
        session = await create(machine)
        process = machine.world.living()[0]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(terminate, machine, session)
            await until(machine, session.id, lambda state: state.phase == "stopped")
            machine.disk.full = True  # the stop goes through, and its record does not
            await dead(process)
            await trio.sleep(1)
            machine.crash()
            machine.disk.full = False
        instances = (await tree(machine)).views.instances
        with trio.fail_after(100):
            await instances.wait(process.instance_id, lambda state: state.phase == "stopped")


async def test_a_session_that_is_terminated_while_its_instance_starts_does_not_keep_it(
    autojump_clock: MockClock,
) -> None:
    """It was attached already, nobody knew, and the process lived on for nobody."""
    async with running() as machine:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(create_in_vain, machine)
            await trio.sleep(0.5)
            views = (await tree(machine)).views
            session = next(iter(views.sessions))
            assert session.provisioning == "instance"
            await terminate(machine, session)
        await trio.sleep(60)
        assert machine.world.living() == ()


async def test_a_prompt_whose_session_is_terminated_on_its_way_does_not_run(autojump_clock: MockClock) -> None:
    """OpenCode stored it after the end, and ran it beside or with the next turn."""
    async with running() as machine:
        await create(machine)  # another one keeps the process
        session = await create(machine)
        accepted = await prompt(machine, session, "never to be run turn:20")
        turn = accepted.session.turn
        assert turn is not None
        await trio.sleep(0.05)  # sent, and not stored yet: the directory is cold
        assert not machine.world.store.messages
        await terminate(machine, session)
        await trio.sleep(20)
        assert machine.world.finished_turns[turn.message_id] == 0


async def test_a_full_disk_does_not_give_a_termination_up(autojump_clock: MockClock) -> None:
    """The detaching crashed the session's actor; after five times nobody took the termination up."""
    async with running() as machine:
        session = await create(machine)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(terminate, machine, session)
            await until(machine, session.id, lambda state: state.terminating)
            machine.disk.full = True
            await trio.sleep(120)
            machine.disk.full = False
        await until(machine, session.id, lambda state: state.phase == "stopped")


async def test_a_long_turn_is_recorded_whole_when_its_session_is_terminated(autojump_clock: MockClock) -> None:
    """Only the newest fifty messages were read, and what a broken event stream had swallowed before was lost."""
    async with running() as machine:
        session = await create(machine, "turn:90")
        await until(machine, session.id, lambda state: state.turn is not None and state.turn.delivered)
        for _ in range(5):
            machine.world.living()[0].break_streams()
            await trio.sleep(0.2)
        await trio.sleep(8)
        await terminate(machine, session)
        state = await until(machine, session.id, lambda state: state.phase == "stopped")
        stored = [message.read() for message in machine.world.store.transcript(session.opencode_id)]
        assert len(stored) > 60
        page = (await tree(machine)).transcripts.page(f"session-{state.id}", 10_000, None, None, None)
        assert [bytes(message.info) for message in page.messages] == [message.info.raw for message in stored]
