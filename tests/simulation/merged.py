"""Puts the machines of a run together into one world and one disk, so that checkers need not know where things are.

Ids and directories of the machines differ, but for a workspace that was moved from a machine which has returned since:
there the machine counts on which the log places it.
"""

import copy
from collections.abc import Mapping, Sequence

from tests.fakes.machine import FakeMachine
from tests.fakes.opencode import FakeOpenCodeWorld
from tests.fakes.opencode_store import Store
from tests.fakes.workspaces import FakeDisk


def one_world(machines: Sequence[FakeMachine], placed: Mapping[str, str]) -> FakeOpenCodeWorld:
    """Return what all machines' processes have done and have. `placed` is the host of each of OpenCode's sessions."""
    if len(machines) == 1:
        return machines[0].world
    worlds = [machine.world for machine in machines]
    one = copy.copy(worlds[0])
    one.store = Store()
    for machine in machines:
        for session_id in machine.world.store.sessions:
            if session_id not in one.store.sessions or placed.get(session_id) == machine.name:
                one.store.take_in(machine.world.store, session_id)
    for name in ("processes", "orphans", "written", "replies", "double_runs", "worked"):
        setattr(one, name, [each for world in worlds for each in getattr(world, name)])
    for name in ("runs", "finished_turns", "model_calls"):
        setattr(one, name, sum((getattr(world, name) for world in worlds[1:]), getattr(worlds[0], name)))
    one.copies = {each for world in worlds for each in world.copies}
    one.deleted = {each for world in worlds for each in world.deleted}
    return one


def one_disk(machines: Sequence[FakeMachine], placed: Mapping[str, str]) -> FakeDisk:
    """Return the disks of all machines as one. `placed` is the host of each workspace, as the log says."""
    if len(machines) == 1:
        return machines[0].disk
    one = FakeDisk()
    for machine in machines:
        disk = machine.disk
        one.directories |= disk.directories
        one.files |= disk.files
        one.cut_off |= disk.cut_off
        one.repositories |= disk.repositories
        one.contents |= disk.contents
        elsewhere = {key for key, host in placed.items() if host != machine.name}
        one.made.update({key: count for key, count in disk.made.items() if key not in elsewhere})
        one.remade.update({key: count for key, count in disk.remade.items() if key not in elsewhere})
        one.checkouts |= {key: made for key, made in disk.checkouts.items() if key not in elsewhere}
    head = machines[0].disk
    one.trees, one.kept = head.trees, head.kept
    return one
