"""Forks and steering with the real OpenCode."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import Server, repository, until


@pytest.fixture(scope="module")
def project(server: Server) -> Path:
    return repository(server.root / "project")


def messages(server: Server, session_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.call("GET", f"/sessions/{session_id}/messages?limit=200")["messages"]
    return found


def files(item: dict[str, Any]) -> set[str]:
    return {entry.name for entry in Path(item["directory"]).iterdir()} - {".git"}


def working(server: Server, session_id: str) -> bool:
    """Say whether a tool runs, out of what is in flight."""
    with server.follow(f"/sessions/{session_id}/events") as stream:
        (session,) = stream.frame()["data"]["sessions"]
        return any(part["type"] == "tool" for part in session["parts"])


def test_a_fork_has_the_conversation_and_the_files_of_that_time(server: Server, project: Path) -> None:
    item = server.create(project, 'write one.txt: "1"\n---\nsay "First."', isolationStrategy="worktree")
    server.settled(item["id"])
    server.prompt(item["id"], 'write two.txt: "2"\nbash "rm one.txt"\n---\nsay "Second."')
    origin = server.settled(item["id"], 2)
    prompts = [message["info"]["id"] for message in messages(server, item["id"]) if message["info"]["role"] == "user"]

    early = server.call("POST", f"/sessions/{item['id']}/fork", {"title": "Early", "messageId": prompts[1]})["session"]
    assert files(early) == (files(origin) - {"two.txt"}) | {"one.txt"}
    assert (early["title"], early["branch"] != origin["branch"], early["costUsd"]) == ("Early", True, 0)
    assert server.texts(early["id"]) == ["First."]
    server.prompt(early["id"], 'bash "pwd"\n---\nsay "Elsewhere."')
    assert server.settled(early["id"])["costUsd"] > 0
    shell = next(
        part for message in messages(server, early["id"]) for part in message["parts"] if part.get("tool") == "bash"
    )
    assert shell["state"]["output"].strip() == early["directory"]
    assert server.call("GET", f"/sessions/{early['id']}/diffs") == []

    whole = server.call("POST", f"/sessions/{item['id']}/fork", {})["session"]
    assert files(whole) == files(origin)
    assert server.texts(whole["id"]) == ["First.", "Second."]
    server.refused(422, "invalid", "POST", f"/sessions/{item['id']}/fork", {"messageId": "msg_none"})


def test_a_fork_brings_a_long_conversation_along_whole(server: Server, project: Path) -> None:
    long = "\n".join(f'bash "seq {first} 4000"' for first in range(1, 5))  # more than a pipe of OpenCode's holds
    item = server.create(project, f'{long}\n---\nsay "Long."')
    server.settled(item["id"])
    fork = server.call("POST", f"/sessions/{item['id']}/fork", {})["session"]
    told, copied = messages(server, item["id"]), messages(server, fork["id"])
    assert [words(each) for each in copied] == [words(each) for each in told]
    assert not {each["info"]["id"] for each in copied} & {each["info"]["id"] for each in told}


def words(message: dict[str, Any]) -> list[Any]:
    """Return what a message says, without the ids that each conversation has of its own."""
    return [(part["type"], part.get("text"), part.get("state", {}).get("output")) for part in message["parts"]]


def test_a_steering_prompt_is_sent_into_the_running_turn(server: Server, project: Path) -> None:
    item = server.create(project, 'bash "sleep 4"\n---\nsay "Never said."', isolationStrategy="worktree")
    until(lambda: working(server, item["id"]), "the shell")
    body = {"text": '```rehearsal\nsay "Steered."\n```', "delivery": "steer"}
    server.call("POST", f"/sessions/{item['id']}/prompt", body)
    done = server.settled(item["id"])
    assert (done["turns"], done["queued"], done["outcome"]) == (1, 0, "finished")
    assert server.texts(item["id"]) == ["Steered."]
    assert [message["info"]["role"] for message in messages(server, item["id"])].count("user") == 2


def test_a_waiting_prompt_is_edited_and_sent_into_the_running_turn(server: Server, project: Path) -> None:
    item = server.create(project, 'bash "sleep 5"\n---\nsay "Never said."', isolationStrategy="worktree")
    until(lambda: working(server, item["id"]), "the shell")
    for said in ("One.", "Two."):
        server.prompt(item["id"], f'say "{said}"')
    queue = f"/sessions/{item['id']}/queue"
    first, second = server.call("GET", queue)
    server.call("PATCH", f"{queue}/{second['id']}", {"text": second["text"].replace("Two", "Steered")})
    server.call("POST", f"{queue}/{second['id']}/steer")
    assert [prompt["id"] for prompt in server.call("GET", queue)] == [first["id"]]
    done = server.settled(item["id"], 2)
    assert (done["turns"], done["queued"], done["outcome"]) == (2, 0, "finished")
    assert server.texts(item["id"]) == ["Steered.", "One."]
    turns = server.call("GET", f"/sessions/{item['id']}/turns")
    assert [len(turn["steered"]) for turn in turns] == [1, 0]
