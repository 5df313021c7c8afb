"""Ways to spoil what a run on many machines has left; spoilers.py has the others."""

import copy
from dataclasses import replace
from typing import Final

from msgspec.structs import replace as struct_replace

from fleet.core.hosts import HostDraining
from tests.fakes.clock import EPOCH_MS
from tests.fakes.cluster import Reserved
from tests.fakes.machine import FakeMachine, Period
from tests.simulation.evidence import Evidence


def _with_world(machine: FakeMachine) -> FakeMachine:
    """Return a copy of a machine whose records may be changed."""
    machine = copy.copy(machine)
    machine.world = copy.copy(machine.world)
    machine.world.worked = list(machine.world.worked)
    return machine


def run_elsewhere_as_well(evidence: Evidence) -> None:
    local, node, *rest = (_with_world(machine) for machine in evidence.machines)
    worked = next(each for each in local.world.worked if each.end_s is not None and each.end_s > each.start_s)
    node.world.worked.append(replace(worked, instance_id="another"))
    evidence.machines = [local, node, *rest]


def live_without_a_lease(evidence: Evidence) -> None:
    local, node, *rest = (_with_world(machine) for machine in evidence.machines)
    node.periods = [Period(0.0, 0.0)]
    node.world.processes = [copy.copy(local.world.processes[0])]
    node.world.processes[0].start_s, node.world.processes[0].end_s = 0.0, evidence.lease_s + 60
    evidence.machines = [local, node, *rest]


def move_a_process(evidence: Evidence) -> None:
    local, node, *rest = (_with_world(machine) for machine in evidence.machines)
    node.world.processes = [local.world.living()[0]]
    evidence.machines = [local, node, *rest]


def place_on_a_draining_host(evidence: Evidence) -> None:
    first = evidence.history[0]
    drained = struct_replace(first, event=HostDraining(name="node-0", at_ms=EPOCH_MS), recorded_at_ms=EPOCH_MS)
    evidence.__dict__["history"] = [drained, *evidence.history]
    evidence.reserved = [Reserved("session", "node-0", 1.0)]


def leave_a_reservation(evidence: Evidence) -> None:
    evidence.left_slots = ["session"]


def report_too_early(evidence: Evidence) -> None:
    evidence.unreported = ["session: turn 1 is finished, and a tree on the head lacks its work"]


SPOILT: Final = (
    ("no_session_runs_at_two_places", run_elsewhere_as_well),
    ("no_process_outlives_its_lease", live_without_a_lease),
    ("processes_are_where_the_log_places_them", move_a_process),
    ("draining_hosts_get_no_new_session", place_on_a_draining_host),
    ("no_reservation_is_left", leave_a_reservation),
    ("what_was_reported_done_is_on_the_head", report_too_early),
)
