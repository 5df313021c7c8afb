"""What a server finds again when it starts: after an orderly end, after kill -9, and after the death of an OpenCode."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import Server, logged, repository, until


@pytest.fixture
def project(stopped: Server) -> Path:
    stopped.start()
    return repository(stopped.root / "project")


def test_an_orderly_restart(stopped: Server, project: Path) -> None:
    item = stopped.create(project, 'say "Before."', isolationStrategy="worktree", title="Kept")
    stopped.settled(item["id"])
    path = f"/sessions/{item['id']}"
    with stopped.follow(f"{path}/events?after=0") as stream:
        before = stream.until("session.turn-ended")
    assert stopped.end(signal.SIGTERM) == 0
    assert stopped.marked() == []

    stopped.start()
    found = stopped.session(item["id"])
    assert (found["title"], found["status"], found["turns"]) == ("Kept", "completed", 1)
    assert stopped.texts(item["id"]) == ["Before."]
    refused = stopped.refused(409, "session_completed", "POST", f"{path}/prompt", {"text": "x"})
    assert "/resume" in refused["hint"]
    resumed = stopped.call("POST", f"{path}/resume")
    assert resumed["instanceId"] != item["instanceId"]
    stopped.prompt(item["id"], 'say "After."')
    assert stopped.settled(item["id"], 2)["opencodeId"] == item["opencodeId"]
    assert stopped.texts(item["id"]) == ["Before.", "After."]
    cut = logged(before)[len(logged(before)) // 2]["id"]
    with stopped.follow(f"{path}/events", {"Last-Event-ID": str(cut)}) as stream:
        rest = stream.until("session.completed")
    tail = [frame for frame in logged(before) if frame["id"] > cut]
    assert logged(rest)[: len(tail)] == tail
    assert stopped.end(signal.SIGINT) == 0
    assert stopped.marked() == []


def test_a_stop_that_leaves_processes_running(stopped: Server) -> None:
    stopped.start("--leave-running", "true")
    item = stopped.create(repository(stopped.root / "project"), 'bash "sleep 300"')
    until(lambda: stopped.running("300"), "the sleep")
    pid = stopped.call("GET", f"/instances/{item['instanceId']}")["pid"]
    left = {process.pid for process in stopped.marked()}
    assert stopped.end(signal.SIGTERM) == 0
    assert {process.pid for process in stopped.marked()} == left

    stopped.start()
    found = stopped.session(item["id"])
    assert (found["status"], found["instanceId"]) == ("active", item["instanceId"])
    assert stopped.call("GET", f"/instances/{item['instanceId']}")["pid"] == pid

    def tool() -> Any:
        with stopped.follow(f"/sessions/{item['id']}/events") as stream:
            return stream.until("snapshot")[-1]["data"]["sessions"][0]["parts"]

    (shown,) = until(tool, "the running tool in the snapshot")
    assert (shown["type"], shown["body"]["state"]["status"]) == ("tool", "running")
    assert stopped.end(signal.SIGTERM) == 0
    assert stopped.marked() == []


def test_kill_9_of_the_server_in_the_middle_of_a_turn(stopped: Server, project: Path) -> None:
    item = stopped.create(project, 'bash "sleep 4"\n---\nsay "First."', isolationStrategy="worktree")
    stopped.prompt(item["id"], 'write second.txt: "2"\n---\nsay "Second."')
    quiet = stopped.create(project)
    path = f"/sessions/{item['id']}"
    with stopped.follow(f"{path}/events?after=0") as stream:
        before = stream.until("session.prompt-delivered")
    assert stopped.end(signal.SIGKILL) == -signal.SIGKILL

    stopped.start()
    with stopped.follow(f"{path}/events?after=0") as stream:
        assert logged(before) == logged([stream.frame() for _ in range(len(logged(before)) + 1)])
    done = stopped.settled(item["id"], 2)
    known = {instance["pid"] for instance in stopped.call("GET", "/instances")}
    servers = stopped.running("serve")
    assert servers == known
    if done["status"] == "idle":
        assert stopped.texts(item["id"]) == ["First.", "Second."]
        assert (Path(item["directory"]) / "second.txt").read_text().strip() == "2"
    else:
        assert done["status"] in ("disconnected", "error")
    found = stopped.session(quiet["id"])
    if found["status"] != "idle":
        assert found["status"] == "disconnected"
        stopped.call("POST", f"/sessions/{quiet['id']}/resume")
    stopped.prompt(quiet["id"], 'say "Still here."')
    assert stopped.settled(quiet["id"])["outcome"] == "finished"
    assert stopped.end() == 0
    assert stopped.marked() == []


def test_kill_9_of_opencode(stopped: Server, project: Path) -> None:
    item = stopped.create(project, 'say "Before."')
    stopped.settled(item["id"])
    stopped.prompt(item["id"], 'bash "sleep 300"\n---\nsay "Never."')
    stopped.became(item["id"], "active")
    path = f"/sessions/{item['id']}"
    until(lambda: stopped.running("300"), "the sleep")
    pid = stopped.call("GET", f"/instances/{item['instanceId']}")["pid"]
    (process,) = [process for process in stopped.marked() if process.pid == pid]
    process.kill()
    found: dict[str, Any] = stopped.became(item["id"], "disconnected")
    assert "signal 9" in found["evidence"]
    assert stopped.texts(item["id"])[0] == "Before."
    refused = stopped.refused(409, "session_disconnected", "POST", f"{path}/prompt", {"text": "x"})
    assert "/resume" in refused["hint"]
    until(lambda: not stopped.marked(), "the end of what the tool left")
    assert stopped.call("POST", f"{path}/resume")["session"]["opencodeId"] == item["opencodeId"]
    stopped.became(item["id"], "idle", "error")
    turns = stopped.session(item["id"])["turns"]
    stopped.prompt(item["id"], 'say "After."')
    assert stopped.settled(item["id"], turns + 1)["outcome"] == "finished"
    assert stopped.texts(item["id"])[-1] == "After."
    assert stopped.end() == 0
    assert stopped.marked() == []
