"""Ports of workspaces: each has a range of its own, and gives it back when it goes."""

from typing import Any

from fleet.ports import Recipe
from tests.gateway.machine import REPOSITORY, Api, Machine


async def workspace(api: Api, item: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await api.send("GET", f"/api/workspaces/{item['workspaceId']}")).json
    return found


async def made(api: Api, strategy: str = "worktree") -> tuple[dict[str, Any], int]:
    """Create a session and return its item and the first of its ports."""
    item = await api.session(REPOSITORY, isolationStrategy=strategy)
    ports = (await workspace(api, item))["ports"]
    assert ports["count"] == 10
    return item, ports["first"]


async def test_each_workspace_has_its_own_ports_and_releases_them(machine: Machine, api: Api) -> None:
    machine.shells.taken = {20_015}
    first, one = await made(api)
    second, two = await made(api, "clone")
    _, three = await made(api)
    assert [one, two, three] == [20_000, 20_020, 20_030]
    assert machine.shells.variables[first["workspaceId"]] == {
        "FLEET_WORKSPACE_ID": first["workspaceId"],
        "FLEET_SOURCE_DIRECTORY": REPOSITORY,
        "FLEET_PORT_BASE": "20000",
        "FLEET_PORT_COUNT": "10",
    }
    await api.send("DELETE", f"/api/sessions/{second['id']}?cleanupWorkspace=true")
    assert (await workspace(api, second))["ports"] is None
    assert second["workspaceId"] not in machine.shells.variables
    assert (await made(api))[1] == 20_020
    await api.send("POST", f"/api/workspaces/{second['workspaceId']}/restore")
    await api.send("POST", f"/api/sessions/{second['id']}/resume")
    assert (await workspace(api, second))["ports"]["first"] == 20_040


async def test_a_directory_that_is_used_as_it_is_has_no_ports(machine: Machine, api: Api) -> None:
    assert (await workspace(api, await api.session(REPOSITORY)))["ports"] is None
    assert machine.shells.variables == {}


async def test_a_restart_keeps_the_ports_of_workspaces(machine: Machine) -> None:
    async with machine.fleet(killed=True) as api:
        first, one = await made(api)
    machine.shells.variables.clear()
    async with machine.fleet() as api:
        await api.send("DELETE", f"/api/sessions/{first['id']}")
        await api.send("POST", f"/api/sessions/{first['id']}/resume")
        assert (await workspace(api, first))["ports"]["first"] == one == 20_000
        assert machine.shells.variables[first["workspaceId"]]["FLEET_PORT_BASE"] == "20000"
        assert (await made(api))[1] == 20_010


async def test_a_workspace_works_where_no_ports_are_left(machine: Machine, api: Api) -> None:
    machine.shells.taken = set(range(20_000, 30_000))
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    assert (await workspace(api, item))["ports"] is None
    assert (await api.prompt(item["id"], "work"))["outcome"] == "finished"


async def test_a_set_up_has_the_ports_of_its_workspace(machine: Machine, api: Api) -> None:
    machine.scripts.recipe = Recipe("d1", "npm ci")
    await api.send("POST", "/api/trust", {"directory": REPOSITORY, "digest": "d1"})
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "idle")
    assert machine.scripts.ran[0].variables["FLEET_PORT_BASE"] == "20000"
