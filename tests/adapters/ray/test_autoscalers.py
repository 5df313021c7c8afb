"""Whether a cluster can start machines, from what Ray 2.60 was seen to report."""

import json

import pytest

from fleet.adapters.ray.sidecar import can_start_machines

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
