"""A survey of a real cluster: its machines as the doctor sees them."""

import platform

from fleet import __version__
from fleet.adapters.ray.survey import survey
from tests.ray.conftest import RayCluster


async def test_a_survey_finds_every_machine_and_its_versions(cluster: RayCluster) -> None:
    found = await survey(cluster.address, cluster.environment)
    assert found.failure == ""
    assert (found.engine_version, found.python_version) == ("2.60.0", platform.python_version())
    machines = {each.labels.get("fleet-host", "head"): each for each in found.machines}
    assert machines.keys() == {"head", "n1", "n2"}
    assert machines["head"].is_head
    for machine in machines.values():
        assert machine.problem == ""
        assert machine.info is not None
        assert machine.info.version == __version__
        assert machine.info.engine_version == "2.60.0"
        assert machine.is_reachable


async def test_a_survey_with_a_wrong_token_says_so(cluster: RayCluster) -> None:
    environment = {**cluster.environment, "RAY_AUTH_TOKEN": "f" * 64}
    found = await survey(cluster.address, environment)
    assert found.machines == ()
    assert "refuses the token of this machine" in found.failure
