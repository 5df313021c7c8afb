"""The tools of `fleet mcp`, called as an MCP client calls them, against a Fleet on fakes."""

from typing import Any

import pytest
from mcp import Client

from fleet.cli.mcp import tools
from fleet.client import FleetClient
from tests.client.line import Line
from tests.gateway.door import PLAIN, REPOSITORY

HERE: dict[str, Any] = {"directory": PLAIN, "isolation": "existing"}


async def call(fleet: FleetClient, instance_id: str | None, tool: str, **arguments: Any) -> Any:
    """Call a tool that must work, and return what it gives."""
    async with Client(tools(fleet, instance_id)) as client:
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    given: dict[str, Any] = result.structured_content or {}
    return given.get("result", given)


async def refused(fleet: FleetClient, instance_id: str | None, tool: str, **arguments: Any) -> str:
    async with Client(tools(fleet, instance_id)) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    return str(result.content)


async def test_an_agent_makes_waits_for_reads_and_prompts_a_session(line: Line) -> None:
    async with FleetClient(line.url) as fleet:
        made = await call(fleet, None, "create_session", prompt="Say something", directory=REPOSITORY, title="Child")
        assert (made["title"], made["branch"] is not None) == ("Child", True)
        done = await call(fleet, None, "wait_for_session", session=made["id"])
        assert (done["status"], done["outcome"]) == ("idle", "finished")
        assert done["answer"]
        read = await call(fleet, None, "read_session", session=made["id"])
        assert "user: Say something" in read
        assert await call(fleet, None, "diff_session", session=made["id"]) == "nothing has changed"
        await call(fleet, None, "prompt_session", session=made["id"][:13], text="ask")
        asked = await call(fleet, None, "wait_for_session", session=made["id"])
        assert asked["status"] == "waiting_input"
        assert [each["kind"] for each in asked["requests"]] == ["permission"]
        assert [each["id"] for each in await call(fleet, None, "list_sessions", status="waiting_input")] == [made["id"]]
        assert "session_not_found" in await refused(fleet, None, "read_session", session="none")
        assert "directory_missing" in await refused(fleet, None, "create_session", prompt="x", directory="/none")


async def test_the_maker_is_the_one_at_work_and_hears_of_the_outcome(line: Line) -> None:
    async with FleetClient(line.url) as fleet:
        maker = await fleet.create(PLAIN, title="Maker", prompt="bash:90")
        await line.door.tree.views.sessions.wait(maker.id, lambda s: s.turn is not None)
        instance_id = (await maker.read()).instance_id
        made = await call(
            fleet, instance_id, "create_session", prompt="Say something", directory=PLAIN, isolation="existing"
        )
        child = await fleet.session(made["id"]).read()
        assert child.parent_id == maker.id
        (created,) = [
            event
            for event in await fleet.log(limit=200)
            if event.type == "session.created" and made["id"] in event.stream
        ]
        assert created.causation_id == f"session:{maker.id}"
        await fleet.session(made["id"]).wait()
        await maker.wait()
        assert (await fleet.callbacks())[0].status == "delivered"
        quiet = await call(fleet, instance_id, "create_session", prompt="Quiet", **HERE, maker=maker.id, notify=False)
        assert (await fleet.session(quiet["id"]).read()).parent_id is None


async def test_who_cannot_be_told_is_asked(line: Line) -> None:
    async with FleetClient(line.url) as fleet:
        both = [await fleet.create(PLAIN, prompt=f"bash:{seconds}") for seconds in (600, 601)]
        for session in both:
            await line.door.tree.views.sessions.wait(session.id, lambda s: s.turn is not None)
        instance_id = (await both[0].read()).instance_id
        asked = await refused(fleet, instance_id, "create_session", prompt="Who am I?", directory=PLAIN)
        assert all(session.id in asked for session in both)
        assert "`maker`" in asked
        made = await call(fleet, instance_id, "create_session", prompt="x", **HERE, maker=both[1].id)
        assert (await fleet.session(made["id"]).read()).parent_id == both[1].id


@pytest.mark.parametrize("session_id", ["no such", "x" * 65, "a:b"])
async def test_a_cause_is_an_id(line: Line, session_id: str) -> None:
    answer = await line.door.knock("POST", "/api/sessions", {"directory": PLAIN}, Fleet_Session=session_id)
    answer.problem(422, "invalid")
