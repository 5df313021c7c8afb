"""`fleet mcp` in the real OpenCode: an agent makes a session, waits for it, reads it, and hears of its outcome."""

import json
import sys

from fleet.rehearsal.script import fenced
from tests.e2e.server import Server, repository, until


def test_an_agent_creates_a_session_and_gets_its_outcome(stopped: Server) -> None:
    server = stopped
    place = server.root / "home" / "config" / "opencode"
    place.mkdir(parents=True)
    command = [sys.executable, "-c", "from fleet.cli import main; main()", "mcp"]
    place.joinpath("opencode.json").write_text(
        json.dumps({"mcp": {"fleet": {"type": "local", "command": command, "enabled": True, "timeout": 30000}}})
    )
    project = repository(server.root / "project")
    server.start()
    bystander = server.create(project, 'stall 60s\nsay "late"', isolationStrategy="worktree", title="Bystander")
    task = fenced('write made.txt: "by the child"\n---\nsay "The child is done."').replace("`", "~")
    arguments = json.dumps({"prompt": task, "title": "Child"})
    script = f'call fleet_create_session: {json.dumps(arguments)}\n---\nsay "Waiting."'
    maker = server.create(project, script, isolationStrategy="worktree", title="Maker")

    def made() -> dict[str, object] | None:
        found = server.call("GET", f"/sessions/{maker['id']}/children")
        return found[0] if found else None

    child = until(made, "the child")
    assert child["title"] == "Child"
    item = server.settled(str(child["id"]))
    assert (item["outcome"], item["parentId"]) == ("finished", maker["id"])
    assert item["directory"] != maker["directory"]
    assert [change["file"] for change in server.call("GET", f"/sessions/{child['id']}/diffs")] == ["made.txt"]
    server.settled(maker["id"], turns=2)  # its own, and the one that the callback began
    messages = server.call("GET", f"/sessions/{maker['id']}/messages?limit=200")["messages"]
    told = [part["text"] for m in messages for part in m["parts"] if m["info"]["role"] == "user" and "text" in part]
    assert any(str(child["id"]) in text and "finished" in text for text in told)
    created = [
        event
        for event in server.call("GET", "/log?limit=200")
        if event["type"] == "session.created" and event["data"]["session_id"] == child["id"]
    ]
    assert [event["causationId"] for event in created] == [f"session:{maker['id']}"]
    assert server.session(bystander["id"])["status"] == "active"
    server.call("DELETE", f"/sessions/{bystander['id']}")
    assert server.end() == 0
    assert server.marked() == []
