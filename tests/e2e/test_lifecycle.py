"""The life of a session with the real OpenCode: requests, callbacks, diffs, removal without loss, erasure, adoption."""

import base64
import signal
from pathlib import Path
from typing import Any

import pytest

from fleet.rehearsal.home import furnish
from fleet.rehearsal.script import fenced
from tests.e2e.server import Server, git, repository, until

OUTSIDE = "/etc/hostname"
READ_OUTSIDE = f'read {OUTSIDE}\n---\nsay "I have gone on."'


@pytest.fixture(scope="module")
def project(server: Server) -> Path:
    made = repository(server.root / "project")
    (made / "old-name.txt").write_text("".join(f"line {n}\n" for n in range(20)))
    (made / "gone.txt").write_text("gone\n")
    (made / "run.sh").write_text("#!/bin/sh\n")
    (made / ".gitignore").write_text("*.secret\n")
    git(made, "add", ".")
    git(made, "commit", "--quiet", "-m", "More files")
    return made


def open_request(server: Server, session_id: str) -> dict[str, Any]:
    """Wait for the session's request, which stands in every list, and return it."""

    def one() -> dict[str, Any] | None:
        requests = server.call("GET", f"/sessions/{session_id}/requests")
        return requests[0] if requests else None

    request = until(one, "a request")
    item = server.session(session_id)
    assert (item["status"], item["openRequests"], item["requests"]) == ("waiting_input", 1, [request])
    (waiting,) = [entry for entry in server.call("GET", "/inbox") if entry["sessionId"] == session_id]
    assert (waiting["kind"], waiting["request"]) == (request["kind"], request)
    return request


def said(server: Server, session_id: str, role: str) -> list[str]:
    """Return every text that this side has said."""
    messages = server.call("GET", f"/sessions/{session_id}/messages?limit=200")["messages"]
    mine = [message for message in messages if message["info"]["role"] == role]
    return [part["text"] for message in mine for part in message["parts"] if part["type"] == "text"]


def changes(server: Server, session_id: str, query: str = "") -> dict[str, dict[str, Any]]:
    """Return the diff, by file, without the turn and the event that it is of."""
    found = server.call("GET", f"/sessions/{session_id}/diffs{query}")
    return {change["file"]: {**change, "asOfTurn": None, "asOfPosition": None} for change in found}


def tools(server: Server, session_id: str) -> list[dict[str, Any]]:
    """Return the states of all tool calls."""
    messages = server.call("GET", f"/sessions/{session_id}/messages?limit=200")["messages"]
    return [part["state"] for message in messages for part in message["parts"] if part["type"] == "tool"]


# ------------------------------------------------------------------------------------------- permissions and questions


def test_a_permission_is_granted_once_and_refused_with_a_reason(server: Server, project: Path) -> None:
    item = server.create(project, READ_OUTSIDE)
    path = f"/sessions/{item['id']}/requests"
    first = open_request(server, item["id"])
    assert (first["kind"], first["request"]["permission"]) == ("permission", "external_directory")
    server.refused(422, "invalid", "POST", f"{path}/{first['id']}", {"answers": [["Red"]]})
    server.refused(404, "request_not_found", "POST", f"{path}/per_none", {"reply": "once"})
    server.call("POST", f"{path}/{first['id']}", {"reply": "once"})
    assert server.settled(item["id"])["outcome"] == "finished"
    assert server.texts(item["id"]) == ["I have gone on."]
    assert tools(server, item["id"])[0]["status"] == "completed"
    server.refused(409, "request_answered", "POST", f"{path}/{first['id']}", {"reply": "once"})

    server.prompt(item["id"], READ_OUTSIDE)
    second = open_request(server, item["id"])
    assert second["id"] != first["id"]
    server.call("POST", f"{path}/{second['id']}", {"reply": "reject", "message": "Look inside the project instead."})
    server.settled(item["id"], 2)
    assert tools(server, item["id"])[1]["status"] == "error"
    assert "Look inside the project instead." in tools(server, item["id"])[1]["error"]
    assert server.call("GET", path) == []


def test_a_question_is_answered(server: Server, project: Path) -> None:
    item = server.create(project, 'question "Which colour?": "Red", "Blue"\n---\nsay "So be it."')
    request = open_request(server, item["id"])
    assert request["kind"] == "question"
    path = f"/sessions/{item['id']}/requests/{request['id']}"
    server.refused(422, "invalid", "POST", path, {"reply": "once"})
    server.call("POST", path, {"answers": [["Blue"]]})
    assert server.settled(item["id"])["outcome"] == "finished"
    (question,) = tools(server, item["id"])
    assert "Blue" in question["output"]


def test_the_permission_of_a_sub_agent_is_asked_of_its_session(server: Server, project: Path) -> None:
    nested = fenced(READ_OUTSIDE).replace("```", "~~~")
    item = server.create(project, f'task "Look outside" as general: <<END\n{nested}\nEND\n---\nsay "It is back."')
    request = open_request(server, item["id"])
    assert request["opencodeId"] != item["opencodeId"]
    server.call("POST", f"/sessions/{item['id']}/requests/{request['id']}", {"reply": "once"})
    done = server.settled(item["id"])
    assert done["outcome"] == "finished"
    assert said(server, item["id"], "assistant")[-1] == "It is back."
    assert "I have gone on." in next(tool for tool in tools(server, item["id"]) if "task" in str(tool))["output"]
    alone = server.create(project, 'say "It is back."')
    assert done["costUsd"] > server.settled(alone["id"])["costUsd"] > 0


# --------------------------------------------------------------------------------------------- commands and budgets


def test_a_command_is_a_turn_of_its_own(server: Server) -> None:
    greeting = repository(server.root / "greeting")
    (greeting / ".opencode/command").mkdir(parents=True)
    furnish(greeting / ".opencode")
    script = fenced('bash "sleep 3"\n---\nsay "Hello there."')  # longer than a client waits for the answer
    (greeting / ".opencode/command/greet.md").write_text(f"Greet $ARGUMENTS.\n{script}\n")
    item = server.create(greeting)
    path = f"/sessions/{item['id']}/command"
    server.call("POST", path, {"command": "greet", "arguments": "the world"})
    assert server.settled(item["id"])["outcome"] == "finished"
    assert server.texts(item["id"]) == ["Hello there."]
    (greeted,) = said(server, item["id"], "user")
    assert greeted.startswith("Greet the world.")
    server.refused(422, "command_unknown", "POST", path, {"command": "no-such-command"})
    server.prompt(item["id"], 'say "Still here."')
    assert server.settled(item["id"], 2)["outcome"] == "finished"
    server.call("DELETE", f"/sessions/{item['id']}")


def test_a_budget_pauses_between_turns(server: Server, project: Path) -> None:
    item = server.create(project, 'bash "true"\n---\nsay "One."', budget={"usd": 0.000001})
    server.prompt(item["id"], 'say "Two."')

    def asked() -> list[str]:
        return [entry["detail"] for entry in server.call("GET", "/inbox") if entry["sessionId"] == item["id"]]

    (detail,) = until(asked, "the question for more")
    paused = server.session(item["id"])
    assert "USD" in detail
    assert (paused["status"], paused["outcome"], paused["turns"], paused["queued"]) == ("idle", "finished", 1, 1)
    assert paused["tokens"]["output"] > 0
    server.call("PATCH", f"/sessions/{item['id']}", {"budget": None})
    assert server.settled(item["id"], 2)["outcome"] == "finished"
    assert server.texts(item["id"]) == ["One.", "Two."]
    assert asked() == []


# ------------------------------------------------------------------------------------------------------- callbacks


def test_the_parent_gets_each_outcome_of_its_child_once(server: Server, project: Path) -> None:
    def sleeping() -> set[int]:
        return server.running("300.25")

    parent = server.create(project, title="Parent")
    to_parent = {"notifySessionId": parent["opencodeId"], "notifyInstanceId": parent["instanceId"]}
    child = server.create(
        project,
        'write child.txt: "one\\ntwo\\n"\n---\nsay "Made it."',
        title="Child",
        isolationStrategy="worktree",
        onComplete=to_parent,
    )
    server.settled(child["id"])
    server.settled(parent["id"])
    server.prompt(child["id"], 'bash "sleep 300.25"\n---\nsay "Never."')
    until(sleeping, "the sleep")
    aborted = server.call("POST", f"/sessions/{child['id']}/abort")
    assert (aborted["outcome"], aborted["session"]["outcome"], aborted["session"]["status"]) == (
        "aborted",
        "aborted",
        "idle",
    )
    until(lambda: not sleeping(), "the end of the sleep")
    assert server.settled(parent["id"], 2)["turns"] == 2
    words = [text for text in said(server, parent["id"], "user") if child["id"] in text]
    assert [text.splitlines()[0] for text in words] == [
        f'Session "Child" ({child["id"]}) has ended: finished.',
        f'Session "Child" ({child["id"]}) has ended: aborted.',
    ]
    assert "Files changed: 1 (+2 -0)" in words[0]
    assert [item["id"] for item in server.session(parent["id"])["children"]] == [child["id"]]
    callbacks = server.call("GET", "/callbacks")
    mine = [each["status"] for each in callbacks if each["sessionId"] == child["id"]]
    assert mine == ["delivered", "delivered"]


# ------------------------------------------------------------------------------------------------- diffs and removal

WORK = r"""bash <<END
rm gone.txt
mv old-name.txt new-name.txt
printf 'a\000b' > image.bin
printf 'caf\351\n' > latin.txt
printf 'one\r\ntwo\r\n' > crlf.txt
printf 'x\n' > "$(printf 'na\351me')"
: > empty.txt
chmod +x run.sh
ln -s README.md link
echo more >> README.md
END
---
say "Shuffled."
"""


def check_work(found: dict[str, dict[str, Any]]) -> None:
    """Compare the diff with what the script has done."""
    statuses = {name: change["status"] for name, change in found.items() if name.isascii() and "\\" not in name}
    assert statuses == {
        "README.md": "modified",
        "crlf.txt": "added",
        "empty.txt": "added",
        "gone.txt": "deleted",
        "image.bin": "added",
        "latin.txt": "added",
        "link": "added",
        "new-name.txt": found["new-name.txt"]["status"],
        "run.sh": "modified",
    } | ({"old-name.txt": "deleted"} if "old-name.txt" in found else {})
    assert len(found) == len(statuses) + 1  # the name that is not UTF-8
    assert found["new-name.txt"]["oldFile"] == "old-name.txt" or "old-name.txt" in found
    assert (found["README.md"]["before"], found["README.md"]["after"]) == ("# A project\n", "# A project\nmore\n")
    assert (found["README.md"]["additions"], found["README.md"]["deletions"]) == (1, 0)
    assert (found["gone.txt"]["before"], found["gone.txt"]["after"], found["gone.txt"]["deletions"]) == (
        "gone\n",
        None,
        1,
    )
    assert (found["image.bin"]["isBinary"], found["image.bin"]["after"]) == (True, None)
    assert (found["crlf.txt"]["after"], found["empty.txt"]["after"]) == ("one\r\ntwo\r\n", "")
    latin = found["latin.txt"]
    assert (latin["encoding"], base64.b64decode(latin["after"])) == ("base64", b"caf\xe9\n")
    assert (found["run.sh"]["modeBefore"], found["run.sh"]["modeAfter"]) == ("100644", "100755")
    assert (found["link"]["modeAfter"], found["link"]["after"]) == ("120000", "README.md")


def test_diffs_of_what_a_shell_did_outlive_the_worktree_which_comes_back(server: Server, project: Path) -> None:
    item = server.create(project, WORK, isolationStrategy="worktree", branch="shuffle", title="Shuffle")
    server.settled(item["id"])
    found = changes(server, item["id"])
    check_work(found)
    assert changes(server, item["id"], "?turn=1") == found
    directory = Path(item["directory"])
    server.prompt(
        item["id"],
        "bash <<END\ngit -c user.name=T -c user.email=t@example.org commit -qm Readme README.md\n"
        "echo staged > staged.txt && git add staged.txt\necho new > untracked.txt\necho key > my.secret\nEND\n"
        '---\nsay "Committed."',
    )
    server.settled(item["id"], 2)
    assert changes(server, item["id"], "?turn=2").keys() == {"staged.txt", "untracked.txt"}
    whole = changes(server, item["id"])

    ended = server.call("DELETE", f"/sessions/{item['id']}?cleanupWorkspace=true")
    workspace = ended["workspace"]
    assert (ended["session"]["status"], workspace["removed"], ended["erased"]) == ("stopped", True, False)
    assert not directory.exists()
    kept = workspace["kept"]
    assert kept["ref"].startswith("refs/fleet/kept/")
    assert kept["ignored"] == ["my.secret"]
    assert git(project, "rev-parse", kept["ref"]) == kept["commit"]
    for name, content in (("untracked.txt", "new"), ("staged.txt", "staged"), ("README.md", "# A project\nmore")):
        assert git(project, "show", f"{kept['ref']}:{name}") == content
    assert changes(server, item["id"]) == whole
    assert changes(server, item["id"], "?turn=1") == found
    server.refused(410, "workspace_gone", "POST", f"/sessions/{item['id']}/resume")

    back = server.call("POST", f"/workspaces/{item['workspaceId']}/restore")
    assert (back["status"], back["directory"], back["branch"]) == ("ready", str(directory), "shuffle")
    assert git(directory, "branch", "--show-current") == "shuffle"
    assert (directory / "untracked.txt").read_text() == "new\n"
    assert "A  staged.txt" in git(directory, "status", "--porcelain")
    resumed = server.call("POST", f"/sessions/{item['id']}/resume")
    assert resumed["session"]["opencodeId"] == item["opencodeId"]
    server.prompt(item["id"], 'say "Here I am."')
    server.settled(item["id"], 3)
    assert server.texts(item["id"]) == ["Shuffled.", "Committed.", "Here I am."]
    assert changes(server, item["id"], "?turn=3") == {}
    assert changes(server, item["id"]) == whole


def test_diffs_in_a_plain_directory(server: Server) -> None:
    plain = server.root / "plain"
    plain.mkdir()
    (plain / "README.md").write_text("# A project\n")
    (plain / "old-name.txt").write_text("".join(f"line {n}\n" for n in range(20)))
    (plain / "gone.txt").write_text("gone\n")
    (plain / "run.sh").write_text("#!/bin/sh\n")
    item = server.create(plain, WORK)
    done = server.settled(item["id"])
    found = changes(server, item["id"])
    check_work(found)
    assert done["changes"]["files"] == len(found)
    ended = server.call("DELETE", f"/sessions/{item['id']}?cleanupWorkspace=true")
    assert ended["workspace"]["removed"] is False
    assert "Fleet never removes" in ended["workspace"]["reason"]
    assert (plain / "README.md").read_text() == "# A project\nmore\n"
    assert changes(server, item["id"]) == found


def test_permanent_deletion_leaves_nothing_but_the_record(server: Server, project: Path) -> None:
    word = "xylophonically"
    script = f'write {word}.txt: "{word}"\n---\nsay "{word}"'
    item = server.create(project, script, title="An Unspeakable Title", isolationStrategy="clone")
    server.settled(item["id"])
    path = f"/sessions/{item['id']}"
    assert [hit["id"] for hit in server.call("GET", f"/sessions/history?search={word}")] == [item["id"]]
    assert word in everything(server)
    assert item["title"] in everything(server)
    recorded = server.call("GET", "/healthz")["position"]

    ended = server.call("DELETE", f"{path}?permanent=true")
    assert (ended["erased"], ended["workspace"]["removed"]) == (True, True)
    assert not Path(item["directory"]).exists()
    assert git(project, "show", f"{ended['workspace']['kept']['ref']}:{word}.txt") == word
    for read in ("", "/messages", "/diffs", "/queue", "/requests", "/children"):
        server.refused(410, "erased", "GET", path + read)
    server.refused(410, "erased", "DELETE", f"{path}?permanent=true")
    assert server.call("GET", f"/sessions/history?search={word}") == []
    assert item["id"] not in [each["id"] for each in server.call("GET", "/sessions?limit=200")]
    assert item["id"] not in [each["sessionId"] for each in server.call("GET", "/notifications?limit=200")]
    assert server.call("GET", "/healthz")["position"] > recorded
    stream = everything(server)
    assert word not in stream
    assert item["title"] not in stream
    ids = [int(line.removeprefix("id: ")) for line in stream.splitlines() if line.startswith("id: ")]
    assert set(range(1, recorded + 1)) <= set(ids)


def everything(server: Server) -> str:
    """Return the text of all events that the log has given out so far."""
    head = server.call("GET", "/healthz")["position"]
    lines: list[str] = []
    with server.http.stream("GET", "/api/events?after=0") as response:
        for line in response.iter_lines():
            lines.append(line)
            if line == f"id: {head}":
                break
    return "\n".join(lines)


# ----------------------------------------------------------------------------------------------------------- adoption


def test_a_question_that_was_open_when_the_server_died_can_be_answered(server: Server, project: Path) -> None:
    item = server.create(project, 'question "Go on?": "Yes", "No"\n---\nsay "Good."')
    request = open_request(server, item["id"])
    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    server.start()
    assert open_request(server, item["id"]) == request
    server.call("POST", f"/sessions/{item['id']}/requests/{request['id']}", {"answers": [["Yes"]]})
    done = server.settled(item["id"])
    assert (done["status"], done["outcome"], done["turns"]) == ("idle", "finished", 1)
    assert done["instanceId"] == item["instanceId"]
    assert server.texts(item["id"]) == ["Good."]


def test_a_file_is_read_as_of_each_call_that_wrote_it(server: Server, project: Path) -> None:
    gate = 'bash "until [ -e {0}.secret ]; do sleep 0.1; done"'  # ignored files are in no snapshot
    calls = [f'write count.txt: "{n}"\n---\n{gate.format(n)}' for n in (1, 2, 3)]
    item = server.create(project, "\n---\n".join((*calls, 'say "Done."')), isolationStrategy="worktree")
    path, log = f"/sessions/{item['id']}", f"/log?session={item['id']}&type=session.step-snapshot-taken"

    def taken(count: int) -> list[int]:
        """Wait for the snapshots within the turn and return their positions."""

        def found() -> list[int] | None:
            positions = sorted(event["position"] for event in server.call("GET", log))
            return positions if len(positions) >= count else None

        return until(found, "a snapshot")

    for number in (1, 2, 3):
        taken(number)
        Path(item["directory"], f"{number}.secret").touch()
    server.settled(item["id"])
    for number, position in enumerate(taken(3), 1):
        found = server.call("GET", f"{path}/files/count.txt?at={position}")
        assert (found["content"].strip(), found["asOfPosition"]) == (str(number), position)
        (change,) = server.call("GET", f"{path}/diffs?at={position}")
        assert (change["after"], change["asOfPosition"], change["running"]) == (found["content"], position, True)
