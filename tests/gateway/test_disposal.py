"""A process gives back what it holds for a directory when no session works there any more, and harms nobody by it."""

import trio

from fleet.limits import DISPOSAL_S
from tests.gateway.door import REPOSITORY, Door, Machine


async def test_a_directory_is_given_back_when_its_last_session_goes_and_others_remain(
    machine: Machine, door: Door
) -> None:
    stays = await door.session(REPOSITORY, isolationStrategy="worktree", initialPrompt="bash:60")
    first, last = [await door.session(REPOSITORY, initialPrompt="Hello") for _ in range(2)]
    assert len({each["instanceId"] for each in (stays, first, last)}) == 1
    assert (await door.knock("DELETE", f"/api/sessions/{first['id']}")).status == 200
    await trio.sleep(DISPOSAL_S)
    assert machine.world.disposed == []
    assert (await door.settled(last["id"]))["outcome"] == "finished"
    assert (await door.knock("DELETE", f"/api/sessions/{last['id']}")).status == 200
    await trio.sleep(DISPOSAL_S)
    assert machine.world.disposed == [(stays["instanceId"], REPOSITORY)]
    assert (await door.settled(stays["id"]))["outcome"] == "finished"
    assert (await door.knock("DELETE", f"/api/sessions/{stays['id']}")).status == 200
    await door.tree.views.instances.wait(stays["instanceId"], lambda s: s.phase == "stopped")
    assert len(machine.world.disposed) == 1  # the process goes, and all with it


async def test_who_comes_while_a_directory_is_given_back_loses_nothing(machine: Machine, door: Door) -> None:
    await door.session(REPOSITORY, isolationStrategy="worktree")
    for _ in range(10):
        goes = await door.session(REPOSITORY)
        assert (await door.knock("DELETE", f"/api/sessions/{goes['id']}")).status == 200
        comes = await door.session(REPOSITORY, initialPrompt="bash:1")
        assert (await door.settled(comes["id"]))["outcome"] == "finished"
        assert (await door.knock("DELETE", f"/api/sessions/{comes['id']}")).status == 200
        assert (await door.knock("POST", f"/api/sessions/{comes['id']}/resume")).status == 200
        assert (await door.prompt(comes["id"], "bash:1"))["outcome"] == "finished"
        assert (await door.knock("DELETE", f"/api/sessions/{comes['id']}")).status == 200
        await trio.sleep(DISPOSAL_S)
    assert len(machine.world.disposed) == 30


async def test_nothing_that_runs_there_is_touched(machine: Machine, door: Door) -> None:
    await door.session(REPOSITORY, isolationStrategy="worktree")
    goes = await door.session(REPOSITORY)
    process = machine.world.process(goes["instanceId"])
    foreign = machine.world.store.create("ses_foreign", REPOSITORY, "somebody's own", 0)
    process.set_status(foreign["id"], {"type": "busy"})
    assert (await door.knock("DELETE", f"/api/sessions/{goes['id']}")).status == 200
    await trio.sleep(DISPOSAL_S)
    assert machine.world.disposed == []
