"""Whether a cluster can start machines, from what Ray 2.60 was seen to report."""

import json

import pytest

from fleet.adapters.ray.sidecar import can_start_machines, has_kinds

HEAD = "f" * 51 + "00000"


@pytest.mark.parametrize(
    ("report", "can"),
    [
        ({"node_type_mapping": {HEAD: "ray.head.default"}}, True),
        ({"node_type_mapping": {HEAD: f"node_{HEAD}"}}, False),
        ({"node_type_mapping": None}, False),
        (None, False),
    ],
    ids=["a configured head", "a head whose kind is made up", "no kinds", "no report yet"],
)
def test_a_cluster_starts_machines_if_its_monitor_has_a_configuration(report: object, can: bool) -> None:
    assert can_start_machines(json.dumps({"autoscaler_report": report}).encode()) is can


def test_a_cluster_without_a_monitor_starts_no_machines() -> None:
    assert not can_start_machines(None)


def test_machines_that_an_autoscaler_has_started_have_a_kind() -> None:
    by_hand, started = {"Labels": {"fleet-host": "n1"}}, {"Labels": {"ray.io/node-group": "ray.head.default"}}
    assert has_kinds([by_hand, started])
    assert not has_kinds([by_hand, {"Labels": {"ray.io/node-group": ""}}])
