"""What the simulation has found with bugs in effects, each as the shortest story that shows it."""

import trio
from trio.testing import MockClock

from fleet.limits import GIVEN_UP_RETRY_S, RESTART_INTENSITY
from tests.simulation.bugs import KINDS
from tests.simulation.test_found import create, create_in_vain, dead, fleet_of, prompt, running, stop_session, until


async def test_what_an_actor_that_was_given_up_has_to_do_is_done_later(autojump_clock: MockClock) -> None:
    """Bugs met each attempt to stop a process, and no message came afterwards: the process was left until a restart."""
    async with running() as machine:
        session = await create(machine)
        process = machine.world.living()[0]
        machine.bugs.kinds, machine.bugs.chance = KINDS, 1.0
        await stop_session(machine, session)
        await trio.sleep(GIVEN_UP_RETRY_S / 2)
        met = len(machine.bugs.met)
        assert RESTART_INTENSITY < met < 3 * RESTART_INTENSITY
        assert process in machine.world.living()
        machine.bugs.kinds = ()
        await dead(process)
        instances = (await fleet_of(machine)).views.instances
        with trio.fail_after(100):
            await instances.wait(process.instance_id, lambda state: state.phase == "stopped")
        assert len(machine.bugs.met) == met


async def test_a_start_that_meets_a_bug_is_a_failure_in_words(autojump_clock: MockClock) -> None:
    async with running() as machine:
        machine.bugs.kinds, machine.bugs.chance = KINDS, 1.0
        await create_in_vain(machine)
        machine.bugs.kinds = ()
        (session,) = (await fleet_of(machine)).views.sessions
        assert session.failure is not None
        assert (session.phase, session.failure.code) == ("error", "internal")
        assert "log has the details" in session.failure.detail
        machine.crash()
        await prompt(machine, session, "say so")
        await until(machine, session.id, lambda state: state.last_outcome == "finished")
