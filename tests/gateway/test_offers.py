"""What OpenCode offers, through the gateway: agents, commands, models, found files."""

import pytest

from tests.gateway.machine import NOWHERE, PLAIN, REPOSITORY, Api, Machine


@pytest.fixture
async def instance_id(api: Api) -> str:
    return str((await api.session())["instanceId"])


async def test_agents_commands_and_models(api: Api, instance_id: str) -> None:
    agents = await api.send("GET", f"/api/instances/{instance_id}/agents")
    assert agents.json == [
        {"name": "build", "description": "The default agent.", "mode": "primary", "native": True},
        {"name": "general", "description": "Researches.", "mode": "subagent", "native": True},
    ]
    assert agents.headers["x-total-count"] == "2"
    command, *others = (await api.send("GET", f"/api/instances/{instance_id}/commands")).json
    assert [other["name"] for other in others] == ["review", "compact"]
    assert command == {"name": "init", "description": "create AGENTS.md", "agent": None, "source": "command"}
    (model,) = (await api.send("GET", f"/api/instances/{instance_id}/models")).json
    assert model == {
        "providerID": "scripted",
        "providerName": "Scripted",
        "modelID": "one",
        "name": "One",
        "isDefault": True,
        "contextTokens": 200_000,
        "outputTokens": 32_000,
    }


async def test_lists_are_read_page_by_page(api: Api, instance_id: str) -> None:
    page = await api.send("GET", f"/api/instances/{instance_id}/agents?limit=1&offset=1")
    assert [agent["name"] for agent in page.json] == ["general"]
    assert page.headers["x-total-count"] == "2"


async def test_files_are_found_where_the_session_works(machine: Machine, api: Api) -> None:
    machine.world.disk.contents[PLAIN] = {"app.py": b"", "application.md": b"", "test.py": b""}
    item = await api.session()
    find = f"/api/instances/{item['instanceId']}/find/files?query=app"
    assert (await api.send("GET", find)).json == ["app.py", "application.md"]
    assert (await api.send("GET", f"{find}&limit=1")).json == ["app.py"]
    for session in (item["id"], item["opencodeId"]):
        assert (await api.send("GET", f"{find}&session={session}")).json == ["app.py", "application.md"]


async def test_a_session_chooses_its_own_directory(machine: Machine, api: Api) -> None:
    first = await api.session(REPOSITORY)
    second = await api.session(REPOSITORY, isolationStrategy="worktree")
    assert first["instanceId"] == second["instanceId"]
    machine.world.disk.contents[second["directory"]] = {"only-there.py": b""}
    find = f"/api/instances/{first['instanceId']}/find/files?query=only"
    assert (await api.send("GET", find)).json == []
    assert (await api.send("GET", f"{find}&session={second['id']}")).json == ["only-there.py"]


@pytest.mark.parametrize("route", ["agents", "commands", "models", "find/files?query=a"])
async def test_offers_of_an_unknown_instance_or_session_are_not_found(api: Api, instance_id: str, route: str) -> None:
    (await api.send("GET", f"/api/instances/{NOWHERE}/{route}")).problem(404, "instance_not_found")
    mark = "&" if "?" in route else "?"
    path = f"/api/instances/{instance_id}/{route}{mark}session={NOWHERE}"
    assert (await api.send("GET", path)).problem(404, "session_not_found")["field"] == "session"
    (await api.send("GET", f"/api/instances/{instance_id}/{route}{mark}depth=1")).problem(422, "invalid")


async def test_another_instance_s_session_is_not_its_own(api: Api, instance_id: str) -> None:
    other = await api.session(REPOSITORY)
    assert other["instanceId"] != instance_id
    answer = await api.send("GET", f"/api/instances/{instance_id}/agents?session={other['id']}")
    answer.problem(404, "session_not_found")


async def test_an_instance_that_is_over_offers_nothing(api: Api) -> None:
    item = await api.session()
    await api.send("DELETE", f"/api/sessions/{item['id']}")
    await api.fleet.views.instances.wait(item["instanceId"], lambda state: state.phase == "stopped")
    (await api.send("GET", f"/api/instances/{item['instanceId']}/agents")).problem(409, "instance_over")


async def test_an_instance_that_hangs_is_unreachable(machine: Machine, api: Api, instance_id: str) -> None:
    machine.world.hang(instance_id)
    (await api.send("GET", f"/api/instances/{instance_id}/models")).problem(503, "opencode_unreachable")


@pytest.mark.parametrize("query", ["", "?query=" + "x" * 201, "?query=a&limit=0", "?query=a&limit=201"])
async def test_a_search_is_bounded(api: Api, instance_id: str, query: str) -> None:
    (await api.send("GET", f"/api/instances/{instance_id}/find/files{query}")).problem(422, "invalid")
