"""Trees between the tool calls of a turn: within their share of time, never in the way, only where they are cheap."""

from itertools import pairwise

import pytest
import trio

from fleet.core.session.turn_events import StepSnapshotTaken
from fleet.core.writing_tools import writing_tool
from fleet.limits import STEP_TREE_S_MAX, STEP_TREES_SHARE, STEP_TREES_SHARE_OF_TURN
from fleet.ports import Part
from tests.gateway.machine import PLAIN, REPOSITORY, Api, Machine


def steps(api: Api, session_id: str) -> list[StepSnapshotTaken]:
    stream = api.fleet.log.read_stream(f"session-{session_id}")
    return [each.event for each in stream if isinstance(each.event, StepSnapshotTaken)]


async def test_trees_take_their_share_of_a_turn(machine: Machine, api: Api) -> None:
    machine.world.disk = machine.files
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    machine.files.tree_s = 0.1
    machine.files.trees_taken_s.clear()
    await api.prompt(item["id"], "turn:30 write")
    *within, _ = machine.files.trees_taken_s
    assert 2 < len(steps(api, item["id"])) == len(within) < 15
    pauses = [after - before for before, after in pairwise(within)]
    assert min(pauses) >= machine.files.tree_s / STEP_TREES_SHARE_OF_TURN - 1e-6


async def test_trees_of_all_turns_together_take_their_share(machine: Machine, api: Api) -> None:
    machine.world.disk = machine.files
    items = [await api.session(REPOSITORY, isolationStrategy="worktree") for _ in range(8)]
    machine.files.tree_s = 0.1
    machine.files.trees_taken_s.clear()
    for item in items:
        await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "turn:20 write"})
    await trio.sleep(5)
    pauses = [after - before for before, after in pairwise(machine.files.trees_taken_s)]
    assert len(pauses) >= 7
    assert min(pauses) >= machine.files.tree_s / STEP_TREES_SHARE - 1e-6


async def test_a_turn_does_not_wait_for_a_tree_within_it(machine: Machine, api: Api) -> None:
    machine.world.disk = machine.files
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    began = trio.current_time()
    await api.prompt(item["id"], "write")
    quick = trio.current_time() - began
    machine.files.tree_s = STEP_TREE_S_MAX / 2
    began = trio.current_time()
    await api.prompt(item["id"], "write")
    assert trio.current_time() - began < quick + STEP_TREE_S_MAX / 2 + 1


async def test_none_is_taken_where_the_last_one_took_too_long(machine: Machine, api: Api) -> None:
    machine.world.disk = machine.files
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    machine.files.tree_s = STEP_TREE_S_MAX * 2
    for taken in (2, 1):  # the first turn tries one within it, and gives up
        machine.files.trees_taken_s.clear()
        await api.prompt(item["id"], "turn:40 write")
        assert (len(machine.files.trees_taken_s), steps(api, item["id"])) == (taken, [])
    machine.files.tree_s = 0.0
    await api.prompt(item["id"], "write")
    assert steps(api, item["id"]) == []
    await api.prompt(item["id"], "write")
    assert len(steps(api, item["id"])) == 1


async def test_a_tree_that_is_the_last_one_again_is_not_recorded(machine: Machine, api: Api) -> None:
    item = await api.session(PLAIN)
    machine.files.trees_taken_s.clear()
    await api.prompt(item["id"], "bash:1")
    assert (len(machine.files.trees_taken_s), steps(api, item["id"])) == (3, [])


@pytest.mark.parametrize(("tool", "writes"), [("bash", True), ("my_tracker_find_issue", True), ("read", False)])
def test_calls_that_only_read_need_no_tree(tool: str, writes: bool) -> None:
    part = Part("prt_1", "ses_1", "msg_1", "tool", True, f'{{"type":"tool","tool":"{tool}"}}'.encode())
    assert writing_tool(part) == (tool if writes else None)
