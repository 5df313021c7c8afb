"""The tools of `fleet mcp`, called as an MCP client calls them, against a Fleet on fakes."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from mcp import Client

from fleet.cli.commands.mcp import tools
from fleet.client import FleetClient
from tests.client.line import Line
from tests.gateway.machine import NOWHERE, PLAIN, REPOSITORY

INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
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


async def test_agent_creates_waits_for_reads_and_prompts_a_session(line: Line) -> None:
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
        more = await call(fleet, None, "prompt_session", session=made["id"], text="more")
        assert more["promptWaitsFor"] == "the session asks for an answer (permission): see the inbox"
        with trio.fail_after(120):
            asked = await call(fleet, None, "wait_for_session", session=made["id"])
        assert asked["needsPerson"] == "the session asks for an answer (permission): see the inbox"
        assert [each["id"] for each in await call(fleet, None, "list_sessions", status="waiting_input")] == [made["id"]]
        assert "session_not_found" in await refused(fleet, None, "read_session", session="none")
        assert "directory_missing" in await refused(fleet, None, "create_session", prompt="x", directory="/none")


async def test_working_session_is_the_maker_and_gets_a_message_with_the_outcome(line: Line) -> None:
    async with FleetClient(line.url) as fleet:
        maker = await fleet.create(PLAIN, title="Maker", prompt="bash:90")
        await line.api.fleet.views.sessions.wait(maker.id, lambda s: s.turn is not None)
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


async def test_agent_must_name_its_session_if_several_could_be_it(line: Line) -> None:
    async with FleetClient(line.url) as fleet:
        both = [await fleet.create(PLAIN, prompt=f"bash:{seconds}") for seconds in (600, 601)]
        for session in both:
            await line.api.fleet.views.sessions.wait(session.id, lambda s: s.turn is not None)
        instance_id = (await both[0].read()).instance_id
        asked = await refused(fleet, instance_id, "create_session", prompt="Who am I?", directory=PLAIN)
        assert all(session.id in asked for session in both)
        assert "`maker`" in asked
        made = await call(fleet, instance_id, "create_session", prompt="x", **HERE, maker=both[1].id)
        assert (await fleet.session(made["id"]).read()).parent_id == both[1].id


async def test_an_argument_that_a_tool_does_not_know_is_refused(line: Line) -> None:
    async with FleetClient(line.url) as fleet:
        said = await refused(fleet, None, "create_session", prompt="x", directory=PLAIN, isolation_strategy="existing")
        assert "create_session has no argument isolation_strategy" in said
        assert "its arguments are prompt, directory, title, isolation, notify, maker" in said
        assert await fleet.sessions() == []
        async with Client(tools(fleet, None)) as client:
            listed = (await client.list_tools()).tools
        assert len(listed) == 6
        assert all(tool.input_schema["additionalProperties"] is False for tool in listed)


async def test_errors_are_sentences_for_an_agent(line: Line) -> None:
    async with FleetClient(line.url) as fleet:
        wrong = await refused(fleet, None, "create_session", prompt="x", isolation="container")
        assert "isolation is wrong" in wrong
        assert "'worktree'" in wrong
        assert "create_session needs prompt" in await refused(fleet, None, "create_session")
        for session in ("none", NOWHERE):
            unknown = await refused(fleet, None, "read_session", session=session)
            assert "session_not_found" in unknown
            assert "fleet ls" not in unknown
        assert "list_sessions" in await refused(fleet, None, "read_session", session="none")
        assert "pydantic" not in wrong


async def test_wait_for_session_returns_no_answer_while_a_turn_runs(line: Line) -> None:
    async with FleetClient(line.url) as fleet:
        made = await call(fleet, None, "create_session", prompt="Say something", **HERE)
        first = (await call(fleet, None, "wait_for_session", session=made["id"]))["answer"]
        assert first
        await call(fleet, None, "prompt_session", session=made["id"], text="bash:600")
        running = await call(fleet, None, "wait_for_session", session=made["id"], seconds=5)
        assert (running["status"], running["answer"]) == ("active", None)
        await fleet.session(made["id"]).abort()
        ended = await call(fleet, None, "wait_for_session", session=made["id"])
        assert (ended["outcome"], ended["answer"] == first) == ("aborted", False)


async def test_tools_name_an_unreachable_server_until_it_responds(line: Line) -> None:
    await line.stop()
    async with FleetClient(line.url) as fleet, Client(tools(fleet, None)) as client:
        began = trio.current_time()
        result = await client.call_tool("list_sessions", {})
        assert result.is_error
        assert "Fleet does not run there" in str(result.content)
        assert trio.current_time() - began < 5
        await line.start()
        assert not (await client.call_tool("list_sessions", {})).is_error


def test_mcp_server_starts_without_a_running_fleet(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ask = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
    program = [sys.executable, "-c", "from fleet.cli import main; main()", "mcp", "--url", f"http://127.0.0.1:{port}"]
    done = subprocess.run(
        program,
        input=json.dumps(ask) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[0])["result"]["serverInfo"]["name"] == "fleet"


@pytest.mark.parametrize("session_id", ["no such", "x" * 65, "a:b"])
async def test_fleet_session_header_must_be_the_id_of_a_session(line: Line, session_id: str) -> None:
    answer = await line.api.send("POST", "/api/sessions", {"directory": PLAIN}, Fleet_Session=session_id)
    answer.problem(422, "invalid")
