"""Commands: checked before they are accepted, also where a prompt names one; `/compact` is an order of its own."""

from typing import Any

import pytest

from tests.actors.effects.test_lost_conversations import said
from tests.gateway.machine import Api, Machine
from tests.gateway.test_diffs import begun


async def run(api: Api, item: dict[str, Any], command: str, arguments: str = "") -> Any:
    body = {"command": command, "arguments": arguments}
    return await api.send("POST", f"/api/sessions/{item['id']}/command", body)


async def test_an_unknown_command_is_refused_with_the_names_and_changes_nothing(api: Api) -> None:
    item = await api.session()
    before = (await api.send("GET", f"/api/sessions/{item['id']}")).json
    problem = (await run(api, item, "nope")).problem(422, "command_unknown")
    assert problem["commands"] == ["compact", "init", "review"]
    assert "/review" in problem["detail"]
    assert (await api.send("GET", f"/api/sessions/{item['id']}")).json == before


@pytest.mark.parametrize("text", ["/nope", "/nope with words"])
async def test_a_prompt_that_names_an_unknown_command_is_refused(api: Api, text: str) -> None:
    item = await api.session()
    refused = await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": text})
    assert "a space before" in refused.problem(422, "command_unknown")["hint"]


async def test_a_prompt_that_names_a_command_runs_it(api: Api) -> None:
    item = await api.session()
    await begun(api, item["id"], "bash:5")
    await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "/review the last commit"})
    (waiting,) = (await api.send("GET", f"/api/sessions/{item['id']}/queue")).json
    assert (waiting["command"], waiting["text"]) == ("review", "the last commit")
    assert (await api.settled(item["id"]))["outcome"] == "finished"


@pytest.mark.parametrize(
    "text", ["/etc/hosts has a line too many", "/tmp is full", " /nope", "/ alone", "what is /nope?"]
)
async def test_text_that_names_no_command_is_sent_as_it_is(api: Api, text: str) -> None:
    item = await api.session()
    await api.prompt(item["id"], text)
    assert (await said(api, f"/api/sessions/{item['id']}"))[0] == text


async def test_first_prompt_that_begins_with_a_path_is_sent_as_text(api: Api) -> None:
    item = await api.session(initialPrompt="/tmp is full")
    assert (await api.settled(item["id"]))["outcome"] == "finished"
    assert (await said(api, f"/api/sessions/{item['id']}"))[0] == "/tmp is full"


async def test_a_command_takes_no_attachments_and_steers_no_turn(api: Api) -> None:
    item = await api.session()
    file = {"mime": "text/plain", "filename": "a.txt", "data": "YQ=="}
    path = f"/api/sessions/{item['id']}/prompt"
    for more, field in (({"attachments": [file]}, "attachments"), ({"delivery": "steer"}, "delivery")):
        refused = await api.send("POST", path, {"text": "/review", **more})
        assert refused.problem(422, "invalid")["field"] == field


async def test_a_prompt_that_waits_does_not_become_a_command(api: Api) -> None:
    item = await api.session()
    await begun(api, item["id"], "bash:5")
    await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "later"})
    queue = f"/api/sessions/{item['id']}/queue"
    (waiting,) = (await api.send("GET", queue)).json
    refused = await api.send("PATCH", f"{queue}/{waiting['id']}", {"text": "/review"})
    refused.problem(422, "invalid")


async def test_an_unknown_command_in_the_first_prompt_fails_its_turn_with_the_names(api: Api) -> None:
    item = await api.session(initialPrompt="/nope")
    failed = await api.settled(item["id"])
    assert (failed["status"], failed["failure"]["code"]) == ("error", "command_unknown")
    assert "/review" in failed["failure"]["detail"]


async def test_a_conversation_is_summed_up_after_the_turn_that_runs(machine: Machine, api: Api) -> None:
    item = await api.session()
    await begun(api, item["id"], "bash:5")
    path = f"/api/sessions/{item['id']}"
    assert (await api.send("POST", f"{path}/compact")).status == 204
    (waiting,) = (await api.send("GET", f"{path}/queue")).json
    assert (waiting["command"], waiting["text"]) == ("compact", "")
    done = await api.settled(item["id"])
    assert (done["outcome"], done["turns"]) == ("finished", 2)
    turns = (await api.send("GET", f"{path}/turns")).json
    messages = (await api.send("GET", f"{path}/messages")).json["messages"]
    (asked,) = [each for each in messages if any(part["type"] == "compaction" for part in each["parts"])]
    assert turns[1]["messageId"] == asked["info"]["id"]
    assert (await api.send("GET", f"{path}/diffs?turn={asked['info']['id']}")).status == 200
    assert (await api.prompt(item["id"], "and on"))["turns"] == 3
    assert machine.world.runs[item["opencodeId"], asked["info"]["id"]] == 1


@pytest.mark.parametrize("way", ["compact", "command", "prompt"])
async def test_there_is_nothing_to_sum_up_before_anything_was_said(api: Api, way: str) -> None:
    item = await api.session()
    body = {"compact": None, "command": {"command": "compact"}, "prompt": {"text": "/compact"}}[way]
    (await api.send("POST", f"/api/sessions/{item['id']}/{way}", body)).problem(422, "invalid")


async def test_summing_up_takes_no_arguments(api: Api) -> None:
    item = await api.session()
    await api.prompt(item["id"], "hello")
    (await run(api, item, "compact", "the end only")).problem(422, "invalid")
