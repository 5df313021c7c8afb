"""The session routes when all goes well, and what they refuse of a session."""

from typing import Any

import pytest

from tests.gateway.machine import NOWHERE, PLAIN, REPOSITORY, Api, Machine


async def test_create_answers_as_the_product_page_says(api: Api) -> None:
    answer = await api.send(
        "POST",
        "/api/sessions",
        {"directory": REPOSITORY, "title": "Implement auth module", "isolationStrategy": "worktree"},
    )
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    created = answer.json
    assert created["session"]["title"] == "Implement auth module"
    assert created["session"]["status"] == "idle"
    assert created["session"]["instanceId"] == created["instanceId"]
    assert created["session"]["workspaceId"] == created["workspaceId"]
    assert created["session"]["opencodeId"].startswith("ses_")
    assert created["session"]["directory"] != REPOSITORY
    assert created["session"]["branch"].startswith("fleet/implement-auth-module-")
    assert int(answer.headers["fleet-position"]) == api.fleet.log.head()


async def test_create_takes_every_field_of_the_contract(api: Api) -> None:
    item = await api.session(
        REPOSITORY,
        title="T",
        isolationStrategy="clone",
        branch="topic",
        baseRef="main",
        initialPrompt="Hello",
        agent="plan",
        model={"providerID": "rehearsal", "modelID": "rehearsal"},
        tags=["one", "two"],
    )
    assert (item["isolationStrategy"], item["branch"], item["tags"]) == ("clone", "topic", ["one", "two"])
    assert (await api.settled(item["id"]))["turns"] == 1


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({}, "plain"),
        ({"initialPrompt": "  First line\nsecond"}, "First line"),
        ({"initialPrompt": "x" * 100}, "x" * 60 + "…"),
        ({"title": "  kept  "}, "  kept  "),
    ],
)
async def test_a_session_always_has_a_title(api: Api, fields: dict[str, Any], title: str) -> None:
    assert (await api.session(**fields))["title"] == title


@pytest.mark.parametrize("title", ["", "   ", "x" * 201])
async def test_titles_have_rules(api: Api, title: str) -> None:
    problem = (await api.send("POST", "/api/sessions", {"directory": PLAIN, "title": title})).problem(422, "invalid")
    assert problem["field"] == "title"
    assert api.fleet.log.head() == 0
    item = await api.session()
    refused = await api.send("PATCH", f"/api/sessions/{item['id']}", {"title": title})
    assert refused.problem(422, "invalid")["field"] == "title"


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"directory": "/home/user/none"}, "directory_missing", "directory"),
        ({"directory": "/home/user/file"}, "not_a_directory", "directory"),
        ({"directory": "/home/user/locked"}, "directory_unreadable", "directory"),
        ({"directory": PLAIN, "isolationStrategy": "worktree"}, "not_a_repository", "isolationStrategy"),
        ({"directory": PLAIN, "isolationStrategy": "clone"}, "not_a_repository", "isolationStrategy"),
        ({"directory": PLAIN, "branch": "b"}, "invalid", "branch"),
        ({"directory": PLAIN, "baseRef": "main"}, "invalid", "baseRef"),
        ({"directory": PLAIN, "isolationStrategy": "copy"}, "invalid", "isolationStrategy"),
        ({"directory": REPOSITORY, "isolationStrategy": "worktree", "branch": "-f"}, "branch_invalid", "branch"),
        ({"directory": REPOSITORY, "isolationStrategy": "worktree", "branch": "a..b"}, "branch_invalid", "branch"),
        ({"directory": REPOSITORY, "isolationStrategy": "clone", "branch": "refs/heads/x"}, "branch_invalid", "branch"),
        ({"directory": REPOSITORY, "isolationStrategy": "worktree", "branch": "main"}, "branch_checked_out", "branch"),
        ({"directory": REPOSITORY, "isolationStrategy": "clone", "baseRef": "none"}, "base_ref_unknown", "baseRef"),
        ({"directory": "/home/user/empty", "isolationStrategy": "clone"}, "repository_empty", "directory"),
        ({"directory": PLAIN, "initialPrompt": " "}, "prompt_empty", "text"),
        ({"directory": ""}, "invalid", "directory"),
        ({}, "invalid", "directory"),
    ],
)
async def test_what_create_refuses_has_changed_nothing(
    machine: Machine, api: Api, fields: dict[str, Any], code: str, field: str
) -> None:
    machine.files.files.add("/home/user/file")
    machine.files.directories.add("/home/user/locked")
    machine.files.unreadable.add("/home/user/locked")
    machine.files.add_repository("/home/user/empty").branches.clear()
    machine.files.repositories["/home/user/empty"].names.clear()
    problem = (await api.send("POST", "/api/sessions", fields)).problem(422, code)
    assert problem.get("field") == field
    assert api.fleet.log.head() == 0
    assert machine.world.living() == ()


async def test_a_session_is_found_by_either_id(api: Api) -> None:
    item = await api.session()
    for any_id in (item["id"], item["opencodeId"]):
        for path in ("", "/queue", "/messages"):
            assert (await api.send("GET", f"/api/sessions/{any_id}{path}")).status == 200


async def test_a_session_as_it_was(api: Api) -> None:
    item = await api.session(title="Before")
    before = api.fleet.log.head()
    await api.send("PATCH", f"/api/sessions/{item['id']}", {"title": "After"})
    path = f"/api/sessions/{item['id']}"
    assert (await api.send("GET", path)).json["title"] == "After"
    assert (await api.send("GET", f"{path}?at={before}")).json["title"] == "Before"
    (await api.send("GET", f"{path}?at=0")).problem(404, "session_not_found")
    assert (await api.send("GET", f"{path}?at=-1")).problem(422, "invalid")["field"] == "at"


async def test_a_session_as_it_was_has_the_relatives_of_then(api: Api) -> None:
    parent = await api.session(title="Parent")
    alone = api.fleet.log.head()
    child = await api.session(title="Child", onComplete={"notifySessionId": parent["id"]})
    both = api.fleet.log.head()
    for item in (parent, child):
        await api.send("PATCH", f"/api/sessions/{item['id']}", {"title": "Later"})
        await api.send("DELETE", f"/api/sessions/{item['id']}")
    path = f"/api/sessions/{parent['id']}"
    assert (await api.send("GET", f"{path}?at={alone}")).json["children"] == []
    (then,) = (await api.send("GET", f"{path}?at={both}")).json["children"]
    assert (then["id"], then["title"], then["status"]) == (child["id"], "Child", "idle")
    (then,) = (await api.send("GET", f"/api/sessions/{child['id']}?at={both}")).json["ancestors"]
    assert (then["title"], then["status"]) == ("Parent", "idle")
    assert (await api.send("GET", path)).json["children"][0]["title"] == "Later"


@pytest.mark.parametrize("path", ["", "/messages", "/diffs"])
async def test_a_position_ahead_of_the_log_is_refused(api: Api, path: str) -> None:
    item = await api.session()
    head = api.fleet.log.head()
    refused = await api.send("GET", f"/api/sessions/{item['id']}{path}?at={head + 1}")
    assert refused.problem(422, "invalid")["field"] == "at"
    assert (await api.send("GET", f"/api/sessions/{item['id']}{path}?at={head}")).status == 200


async def test_lists_have_pages_filters_and_a_total(api: Api) -> None:
    made = [await api.session(title=f"Session {n}", tags=["even"] if n % 2 == 0 else []) for n in range(5)]
    newest_first = [item["id"] for item in reversed(made)]

    async def ids(query: str) -> tuple[list[str], str]:
        answer = await api.send("GET", f"/api/sessions{query}")
        return [item["id"] for item in answer.json], answer.headers["x-total-count"]

    assert await ids("") == (newest_first, "5")
    assert await ids("?limit=2&offset=1") == (newest_first[1:3], "5")
    assert await ids("?offset=9") == ([], "5")
    assert await ids("?search=SESSION%203") == ([made[3]["id"]], "1")
    assert await ids("?tag=even") == ([made[n]["id"] for n in (4, 2, 0)], "3")
    assert await ids(f"?workspace={made[0]['workspaceId']}") == (newest_first, "5")
    assert await ids("?status=active,waiting_input") == ([], "0")
    assert await ids("?status=idle,active") == (newest_first, "5")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=many", "limit"),
        ("limit=", "limit"),
        ("offset=-1", "offset"),
        ("status=busy", "status"),
        ("status=absent", "status"),
        ("status=", "status"),
        ("statuses=idle", "statuses"),
        ("limit=1&limit=2", "limit"),
    ],
)
async def test_a_wrong_filter_is_no_filter(api: Api, query: str, field: str) -> None:
    assert (await api.send("GET", f"/api/sessions?{query}")).problem(422, "invalid")["field"] == field


async def test_title_and_tags_of_a_session_are_changed(api: Api) -> None:
    item = await api.session(tags=["old"])
    path = f"/api/sessions/{item['id']}"
    answer = await api.send("PATCH", path, {"title": "New", "tags": ["a", "b"]})
    assert (answer.status, answer.json["title"], answer.json["tags"]) == (200, "New", ["a", "b"])
    assert (await api.send("PATCH", path, {})).json["title"] == "New"
    refused = await api.send("PATCH", path, {"tags": ["x"] * 51})
    assert refused.problem(422, "invalid")["field"] == "tags"
    assert (await api.send("GET", path)).json["tags"] == ["a", "b"]


async def test_prompt_runs_a_turn_whose_messages_can_be_read(api: Api) -> None:
    item = await api.session()
    answer = await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "Hello there"})
    assert (answer.status, answer.body) == (204, b"")
    assert int(answer.headers["fleet-position"]) > 0
    done = await api.settled(item["id"])
    assert (done["status"], done["outcome"], done["turns"]) == ("idle", "finished", 1)
    read = (await api.send("GET", f"/api/sessions/{item['id']}/messages")).json
    assert [message["info"]["role"] for message in read["messages"]] == ["user", "assistant"]
    assert "Hello there" in read["messages"][0]["parts"][0]["text"]
    assert read["pagination"] == {"before": None, "after": None, "total": 2}


async def test_messages_have_pages(api: Api) -> None:
    item = await api.session()
    for text in ("one", "two", "three"):
        await api.prompt(item["id"], text)
    path = f"/api/sessions/{item['id']}/messages"
    all_ids = [message["info"]["id"] for message in (await api.send("GET", path)).json["messages"]]
    assert len(all_ids) == 6
    newest = (await api.send("GET", f"{path}?limit=2")).json
    assert [message["info"]["id"] for message in newest["messages"]] == all_ids[4:]
    older = (await api.send("GET", f"{path}?limit=2&before={newest['pagination']['before']}")).json
    assert [message["info"]["id"] for message in older["messages"]] == all_ids[2:4]
    after = (await api.send("GET", f"{path}?after={all_ids[0]}")).json
    assert [message["info"]["id"] for message in after["messages"]] == all_ids[1:]
    for query, field in (("before=msg_none", "before"), ("after=x", "after"), ("before=a&after=b", "before")):
        assert (await api.send("GET", f"{path}?{query}")).problem(422, "invalid")["field"] == field


async def test_waiting_prompts_are_shown_and_can_be_withdrawn(api: Api) -> None:
    item = await api.session(initialPrompt="hang")
    path = f"/api/sessions/{item['id']}"
    for text in ("second", "third"):
        assert (await api.send("POST", f"{path}/prompt", {"text": text})).status == 204
    queue = await api.send("GET", f"{path}/queue")
    assert [prompt["text"] for prompt in queue.json] == ["second", "third"]
    assert queue.headers["x-total-count"] == "2"
    assert (await api.send("DELETE", f"{path}/queue/{queue.json[0]['id']}")).status == 204
    (await api.send("DELETE", f"{path}/queue/{queue.json[0]['id']}")).problem(404, "prompt_not_found")
    assert [prompt["text"] for prompt in (await api.send("GET", f"{path}/queue")).json] == ["third"]


async def test_abort_ends_the_turn_and_leaves_the_session_idle(api: Api) -> None:
    item = await api.session(initialPrompt="hang")
    path = f"/api/sessions/{item['id']}"
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    answer = await api.send("POST", f"{path}/abort")
    assert (answer.status, answer.json["outcome"]) == (200, "aborted")
    assert (answer.json["session"]["status"], answer.json["session"]["outcome"]) == ("idle", "aborted")
    assert (await api.send("POST", f"{path}/abort")).json["outcome"] == "nothing_to_abort"
    assert (await api.prompt(item["id"], "again"))["outcome"] == "finished"


@pytest.mark.parametrize("end", ["stopped", "disconnected", "completed"])
async def test_a_session_that_ended_takes_no_prompt_and_says_resume(machine: Machine, end: str) -> None:
    async with machine.fleet() as api:
        item = await api.session()
        path = f"/api/sessions/{item['id']}"
        if end == "stopped":
            ended = await api.send("DELETE", path)
            assert (ended.status, ended.json["session"]["status"]) == (200, "stopped")
        elif end == "disconnected":
            machine.world.kill(item["instanceId"])
            await api.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "disconnected")
    async with machine.fleet() as api:
        assert (await api.send("GET", path)).json["status"] == end
        refused = (await api.send("POST", f"{path}/prompt", {"text": "Go on"})).problem(409, f"session_{end}")
        assert f"/api/sessions/{item['id']}/resume" in refused["hint"]
        (await api.send("POST", f"{path}/prompt", {"text": " "})).problem(422, "prompt_empty")
        resumed = await api.send("POST", f"{path}/resume")
        assert resumed.status == 200, resumed
        assert resumed.json["session"]["instanceId"] == resumed.json["instanceId"] != item["instanceId"]
        assert (await api.prompt(item["id"], "Go on"))["outcome"] == "finished"


async def test_a_prompt_can_ask_for_the_resume(api: Api) -> None:
    item = await api.session()
    path = f"/api/sessions/{item['id']}"
    await api.send("DELETE", path)
    assert (await api.send("POST", f"{path}/prompt", {"text": "Wake up", "resume": True})).status == 204
    assert (await api.settled(item["id"]))["outcome"] == "finished"


async def test_resume_of_an_active_session_is_refused(api: Api) -> None:
    item = await api.session(initialPrompt="hang")
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "active")
    (await api.send("POST", f"/api/sessions/{item['id']}/resume")).problem(409, "session_active")


async def test_resume_says_what_is_gone_for_good(machine: Machine, api: Api) -> None:
    item = await api.session()
    path = f"/api/sessions/{item['id']}"
    await api.send("DELETE", path)
    machine.files.directories.discard(PLAIN)
    (await api.send("POST", f"{path}/resume")).problem(410, "workspace_gone")
    machine.files.directories.add(PLAIN)
    machine.world.store.sessions.clear()
    gone = (await api.send("POST", f"{path}/resume")).problem(410, "session_gone")
    assert gone["sessionId"] == item["id"]


async def test_an_instance_of_any_time_is_fine_and_no_other(api: Api) -> None:
    item = await api.session()
    other = await api.session(REPOSITORY)
    path, before = f"/api/sessions/{item['id']}", item["instanceId"]
    await api.send("DELETE", path)
    await api.send("POST", f"{path}/resume")
    assert (await api.send("POST", f"{path}/prompt", {"text": "Hi", "instanceId": before})).status == 204
    await api.settled(item["id"])
    for instance in (other["instanceId"], NOWHERE, "x"):
        refused = await api.send("POST", f"{path}/prompt", {"text": "Hi", "instanceId": instance})
        refused.problem(404, "instance_not_found")
        for method, action in (("POST", "/abort"), ("POST", "/resume"), ("DELETE", ""), ("GET", "/messages")):
            refused = await api.send(method, f"{path}{action}?instanceId={instance}")
            refused.problem(404, "instance_not_found")
    for method, action in (("POST", "/abort"), ("GET", "/messages"), ("DELETE", "")):
        assert (await api.send(method, f"{path}{action}?instanceId={before}")).status == 200


@pytest.mark.parametrize("any_id", [NOWHERE, "ses_none", "%20", "..%2f..%2fetc", "x" * 2000])
async def test_an_unknown_session_is_404_everywhere(api: Api, any_id: str) -> None:
    path = f"/api/sessions/{any_id}"
    for method, action, body in (
        ("GET", "", None),
        ("GET", "/messages", None),
        ("GET", "/queue", None),
        ("GET", "/events", None),
        ("PATCH", "", {"title": "x"}),
        ("POST", "/prompt", {"text": "x"}),
        ("POST", "/abort", None),
        ("POST", "/resume", None),
        ("DELETE", "", None),
        ("DELETE", "/queue/x", None),
    ):
        answer = await api.send(method, path + action, body)
        assert answer.problem(404, answer.json["code"])["code"] in ("session_not_found", "not_found")
    assert api.fleet.log.head() == 0


async def test_prompt_has_attachments_of_some_types_only(api: Api) -> None:
    item = await api.session()
    path = f"/api/sessions/{item['id']}/prompt"
    png = {"mime": "image/png", "filename": "a.png", "data": "aGVsbG8="}
    assert (await api.send("POST", path, {"attachments": [png]})).status == 204
    assert (await api.settled(item["id"]))["outcome"] == "finished"
    for wrong, field in (
        ([{**png, "mime": "application/zip"}], "attachments"),
        ([{**png, "data": "no base64!"}], "attachments[0].data"),
        ([{**png, "size": 1}], "attachments[0].size"),
        ([{"mime": "image/png", "filename": "a.png"}], "attachments[0].data"),
        ([png] * 51, "attachments"),
        ("a.png", "attachments"),
    ):
        refused = (await api.send("POST", path, {"text": "x", "attachments": wrong})).problem(422, "invalid")
        assert refused["field"] == field


async def test_a_text_that_is_too_long_belongs_in_a_file(api: Api) -> None:
    item = await api.session()
    refused = await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "x" * (1024 * 1024 + 1)})
    assert "1048576" in refused.problem(413, "too_large")["detail"]


async def test_a_full_queue_says_when_to_come_again(api: Api) -> None:
    item = await api.session(initialPrompt="hang")
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "active")
    path = f"/api/sessions/{item['id']}/prompt"
    for _ in range(100):
        assert (await api.send("POST", path, {"text": "x"})).status == 204
    refused = await api.send("POST", path, {"text": "x"})
    refused.problem(429, "queue_full")
    assert int(refused.headers["retry-after"]) > 0


async def test_pages_and_children_are_right_when_sessions_are_erased_and_after_a_restart(machine: Machine) -> None:
    async def shown(api: Api) -> tuple[list[str], list[str], list[str]]:
        pages = [(await api.send("GET", f"/api/sessions?limit=2&offset={offset}")).json for offset in (0, 2, 4)]
        children = (await api.send("GET", f"/api/sessions/{parent}/children")).json
        detail = (await api.send("GET", f"/api/sessions/{parent}")).json
        ids = [item["id"] for page in pages for item in page]
        return ids, [item["id"] for item in children], [item["title"] for item in detail["children"]]

    async with machine.fleet() as api:
        parent = (await api.session(title="parent"))["id"]
        made = [
            (await api.session(title=f"child {number}", onComplete={"notifySessionId": parent}))["id"]
            for number in range(4)
        ]
        assert await shown(api) == ([*reversed(made), parent], made, [f"child {number}" for number in range(4)])
        await api.send("DELETE", f"/api/sessions/{made.pop(1)}?permanent=true")
        left = ([*reversed(made), parent], made, ["child 0", "child 2", "child 3"])
        assert await shown(api) == left
    async with machine.fleet() as api:
        assert await shown(api) == left
        await api.send("PATCH", f"/api/sessions/{made[0]}", {"title": "another"})
        assert (await shown(api))[2] == ["another", "child 2", "child 3"]
