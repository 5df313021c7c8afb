"""What a session says of a turn that does not get on: OpenCode's own words, while they hold, and word to a person."""

from typing import Any

import trio

from tests.gateway.machine import PLAIN, Api, Machine


async def begun(api: Api, text: str) -> str:
    """Create a session at work on a prompt and return its id."""
    item = await api.session(PLAIN, initialPrompt=text)
    session_id: str = item["id"]
    await api.fleet.views.sessions.wait(session_id, lambda s: s.turn is not None and s.turn.delivered)
    return session_id


async def said(api: Api, session_id: str) -> str:
    evidence: str = (await api.send("GET", f"/api/sessions/{session_id}")).json["evidence"]
    return evidence


async def told(api: Api, session_id: str) -> list[str]:
    """Return what a person was told of delays."""
    found: list[dict[str, Any]] = (await api.send("GET", "/api/notifications")).json
    return [each["text"] for each in found if each["kind"] == "delayed" and each["sessionId"] == session_id]


async def test_a_provider_that_limits_the_rate_is_quoted(api: Api) -> None:
    session_id = await begun(api, "retry:9")
    await trio.sleep(40)
    assert await said(api, session_id) == "turn 1: rate-limited (Too many requests), tries again at 00:01 UTC"
    assert await told(api, session_id) == []
    await trio.sleep(300)
    (word,) = await told(api, session_id)
    assert word.startswith("rate-limited (Too many requests), tries again at 00:")
    state = await api.fleet.views.sessions.wait(session_id, lambda s: s.failure is not None)
    assert state.failure is not None
    assert state.failure.detail.endswith("s: Too many requests")
    assert await told(api, session_id) == [word]


async def test_a_tool_that_runs_for_long_is_named(api: Api) -> None:
    session_id = await begun(api, "bash:1080")
    await trio.sleep(50)
    assert await said(api, session_id) == "turn 1: OpenCode has the prompt and works"
    await trio.sleep(20)
    assert await said(api, session_id) == "turn 1: bash has run for 1 min: npm run dev"
    assert await told(api, session_id) == []
    await trio.sleep(16 * 60)
    assert await said(api, session_id) == "turn 1: bash has run for 15 min: npm run dev"
    assert await told(api, session_id) == ["bash has run for 15 min: npm run dev"]
    await api.settled(session_id)
    events = [each.type for each in api.fleet.log.read_stream(f"session-{session_id}")]
    assert events.count("session.turn-delayed") == 5


async def test_a_tool_of_an_mcp_server_names_the_server(machine: Machine, api: Api) -> None:
    machine.world.mcp_servers = ("my", "my.tracker")
    session_id = await begun(api, "mcp:400")
    await trio.sleep(140)
    assert await said(api, session_id) == "turn 1: waits for the MCP server my.tracker: find_issue has run for 2 min"
    await trio.sleep(200)
    assert await told(api, session_id) == ["waits for the MCP server my.tracker: find_issue has run for 5 min"]


async def test_mcp_servers_that_do_not_start_are_named(machine: Machine, api: Api) -> None:
    machine.world.mcp_servers, machine.world.mcp_start_s = ("tracker", "wiki"), 30.0
    session_id = await begun(api, "hello")
    await trio.sleep(16)
    assert await said(api, session_id) == "turn 1: waits for the MCP servers tracker, wiki to start"
    assert (await api.settled(session_id))["outcome"] == "finished"


async def test_a_silent_model_is_reported_and_later_notified(api: Api) -> None:
    session_id = await begun(api, "hang")
    await trio.sleep(130)
    assert await said(api, session_id) == "turn 1: nothing has come from the model for 2 min"
    await trio.sleep(200)
    assert await told(api, session_id) == ["nothing has come from the model for 5 min"]


async def test_a_turn_without_progress_is_in_the_inbox_until_it_continues(api: Api) -> None:
    session_id = await begun(api, "bash:1080")
    await trio.sleep(10 * 60)
    assert (await api.send("GET", "/api/inbox")).json == []
    await trio.sleep(6 * 60)
    (item,) = (await api.send("GET", "/api/inbox")).json
    assert (item["kind"], item["sessionId"], item["context"]["turn"]) == ("delay", session_id, 1)
    assert item["detail"] == "bash has run for 15 min: npm run dev"
    await api.settled(session_id)
    assert (await api.send("GET", "/api/inbox")).json == []


async def test_a_turn_that_makes_progress_again_reports_it(api: Api) -> None:
    session_id = await begun(api, "retry:4")
    seen: list[str] = []
    with trio.move_on_after(60):
        while True:
            evidence = await said(api, session_id)
            seen += [evidence] if [evidence] != seen[-1:] else []
            await trio.sleep(0.5)
    assert [each.partition(", tries")[0] for each in seen] == [
        "turn 1: OpenCode has the prompt and works",
        "turn 1: rate-limited (Too many requests)",
        "turn 1 finished: OpenCode is idle and its last message ended with stop",
    ]


async def test_a_turn_that_waits_for_a_person_has_no_other_reason(api: Api) -> None:
    session_id = await begun(api, "ask")
    await trio.sleep(20 * 60)
    assert await said(api, session_id) == "turn 1: a permission waits for an answer"
    assert await told(api, session_id) == []


async def test_occasional_errors_of_opencode_do_not_end_a_turn(machine: Machine, api: Api) -> None:
    session_id = await begun(api, "bash:300")
    for _ in range(3):
        await trio.sleep(70)
        machine.world.refusals = 1
    assert (await api.settled(session_id))["outcome"] == "finished"
