"""Sessions on a real server with the real OpenCode and git: one server for the whole module."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fleet.core.permission_rules import OPENCODE_RULES, judge, rules_of
from fleet.core.tool_permissions import asks_of
from tests.e2e.server import Server, git, logged, repository, until
from tests.patience import PATIENCE_S


@pytest.fixture(scope="module")
def project(server: Server) -> Path:
    return repository(server.root / "project")


def holders(server: Server, name: str) -> list[Path]:
    """Return the directories in which a file of this name stands, wherever the server or its sessions can write."""
    return sorted(path.parent for path in server.root.rglob(name) if ".git" not in path.parts)


@pytest.mark.parametrize("strategy", ["existing", "worktree", "clone"])
def test_the_agent_s_file_appears_in_the_right_directory_and_no_other(
    server: Server, project: Path, strategy: str
) -> None:
    name = f"made-in-{strategy}.txt"
    fields = {} if strategy == "existing" else {"branch": f"topic-{strategy}", "baseRef": "main"}
    item = server.create(
        project,
        f'write {name}: "hello"\n---\nsay "Done."',
        title=f"In {strategy}",
        isolationStrategy=strategy,
        **fields,
    )
    done = server.settled(item["id"])
    directory = Path(item["directory"])
    assert (done["title"], done["outcome"], done["status"]) == (f"In {strategy}", "finished", "idle")
    assert holders(server, name) == [directory]
    assert (directory / name).read_text().strip() == "hello"
    assert (directory == project) == (strategy == "existing")
    if strategy != "existing":
        assert git(directory, "branch", "--show-current") == item["branch"] == f"topic-{strategy}"
        assert git(directory, "rev-parse", "HEAD") == git(project, "rev-parse", "main")
    assert git(project, "branch", "--show-current") == "main"
    assert server.texts(item["id"])[-1] == "Done."


def test_a_second_session_on_a_repository_starts_no_process(server: Server, project: Path) -> None:
    first = server.create(project, isolationStrategy="worktree")
    second = server.create(project, isolationStrategy="worktree")
    assert second["instanceId"] == first["instanceId"]
    assert second["directory"] != first["directory"]


def test_bad_directories_and_branches(server: Server, project: Path) -> None:
    file = server.root / "a-file"
    file.write_text("")
    empty = server.root / "empty"
    empty.mkdir()
    git(empty, "init", "--quiet")
    plain = server.root / "plain"
    plain.mkdir()
    for code, fields in (
        ("directory_missing", {"directory": str(server.root / "none")}),
        ("not_a_directory", {"directory": str(file)}),
        ("not_a_repository", {"directory": str(plain), "isolationStrategy": "worktree"}),
        ("not_a_repository", {"directory": str(plain), "isolationStrategy": "clone"}),
        ("repository_empty", {"directory": str(empty), "isolationStrategy": "worktree"}),
        ("branch_invalid", {"directory": str(project), "isolationStrategy": "worktree", "branch": "--force"}),
        ("branch_invalid", {"directory": str(project), "isolationStrategy": "clone", "branch": "a b"}),
        ("branch_checked_out", {"directory": str(project), "isolationStrategy": "worktree", "branch": "main"}),
        ("base_ref_unknown", {"directory": str(project), "isolationStrategy": "worktree", "baseRef": "--all"}),
    ):
        server.refused(422, code, "POST", "/sessions", fields)


def test_prompts_are_carried_out_in_order(server: Server, project: Path) -> None:
    item = server.create(project, 'bash "sleep 1"\n---\nsay "0"')
    for n in range(1, 4):
        server.prompt(item["id"], f'say "{n}"')
    assert len(server.call("GET", f"/sessions/{item['id']}/queue")) == 3
    assert server.settled(item["id"], 4)["outcome"] == "finished"
    assert server.texts(item["id"]) == ["0", "1", "2", "3"]


def test_a_stream_cut_in_the_middle_of_a_turn_resumes_without_gap(server: Server, project: Path) -> None:
    item = server.create(project)
    path = f"/sessions/{item['id']}/events"
    with server.follow(path) as stream:
        first = [stream.frame()]
        assert first[0]["event"] == "snapshot"
        server.prompt(item["id"], 'say 60 tokens at 100/s\nbash "true"\n---\nsay "And done."')
        first += stream.until("session.prompt-delivered")
    with server.follow(path, {"Last-Event-ID": str(logged(first)[-1]["id"])}) as stream:
        rest = stream.until("session.turn-ended")
    with server.follow(f"{path}?after={logged(first)[0]['id'] - 1}") as stream:
        whole = stream.until("session.turn-ended")
    assert rest[0]["event"] == "snapshot"
    assert logged(first) + logged(rest) == logged(whole)
    assert any(frame["event"] == "delta" and "id" not in frame for frame in rest)


def test_abort_reaches_the_tool_s_process(server: Server, project: Path) -> None:
    def sleeping() -> set[int]:
        return server.running("300.5")

    item = server.create(project, 'bash "sleep 300.5"\n---\nsay "Too late."')
    until(sleeping, "the sleep")
    answer = server.call("POST", f"/sessions/{item['id']}/abort")
    assert (answer["outcome"], answer["session"]["status"]) == ("aborted", "idle")
    assert answer["session"]["outcome"] == "aborted"
    until(lambda: not sleeping(), "the end of the sleep")
    server.prompt(item["id"], 'say "Better."')
    assert server.settled(item["id"], 2)["outcome"] == "finished"
    assert "Too late." not in server.texts(item["id"])


def test_the_process_ends_with_its_last_session(server: Server) -> None:
    other = repository(server.root / "other")
    first, second = server.create(other), server.create(other, isolationStrategy="worktree")
    pid = server.call("GET", f"/instances/{first['instanceId']}")["pid"]
    assert server.call("DELETE", f"/sessions/{first['id']}")["session"]["status"] == "stopped"
    assert pid in [process.pid for process in server.marked()]
    server.call("DELETE", f"/sessions/{second['id']}")
    until(lambda: pid not in [process.pid for process in server.marked()], "the process's end")
    assert server.session(first["id"])["status"] == "stopped"
    refused = server.refused(409, "session_stopped", "POST", f"/sessions/{first['id']}/prompt", {"text": "x"})
    assert "/resume" in refused["hint"]


def test_every_curl_line_of_the_product_page(server: Server, project: Path) -> None:
    def curl(line: str) -> str:
        line = line.replace("http://localhost:3000", str(server.http.base_url).rstrip("/"))
        done = subprocess.run(
            [*shlex.split(line), "-sS", "-w", "\n%{http_code}"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        return done.stdout

    created = curl(
        "curl -X POST http://localhost:3000/api/sessions -H 'Content-Type: application/json' -d '{"
        f'"directory": "{project}", "title": "Implement auth module", "isolationStrategy": "worktree"'
        "}'"
    )
    assert created.endswith("\n200")
    (newest,) = server.call("GET", "/sessions?limit=1")
    session, instance = newest["id"], newest["instanceId"]
    assert newest["title"] == "Implement auth module"
    prompted = curl(
        f"curl -X POST http://localhost:3000/api/sessions/{session}/prompt -H 'Content-Type: application/json' -d '"
        f'{{"instanceId": "{instance}", "text": "Add error handling to the login endpoint"}}'
        "'"
    )
    assert prompted == "\n204"
    server.settled(session)
    assert curl(f'curl -X POST "http://localhost:3000/api/sessions/{session}/abort?instanceId={instance}"').endswith(
        "\n200"
    )
    shown = curl(f'curl "http://localhost:3000/api/sessions/{session}/diffs?instanceId={instance}"')
    (change,) = json.loads(shown.removesuffix("\n200"))  # the note that the rehearsal model takes
    assert {"file", "before", "after", "additions", "deletions", "status"} <= change.keys()
    assert (change["before"], change["status"]) == (None, "added")
    assert change["additions"] == len(change["after"].splitlines()) > 0
    assert curl(f'curl -X DELETE "http://localhost:3000/api/sessions/{session}?instanceId={instance}"').endswith(
        "\n200"
    )
    assert server.session(session)["status"] == "stopped"
    assert curl(f"curl -X POST http://localhost:3000/api/sessions/{session}/resume").endswith("\n200")
    assert server.session(session)["status"] in ("active", "idle")

    child = json.loads(
        curl(
            "curl -X POST http://localhost:3000/api/sessions -H 'Content-Type: application/json' -d '{"
            f'"directory": "{project}", "title": "Sub-task: implement tests", "onComplete": {{'
            f'"notifySessionId": "{newest["opencodeId"]}", "notifyInstanceId": "{instance}"}}'
            "}'"
        ).removesuffix("\n200")
    )
    server.prompt(child["session"]["id"], 'say "Done."')
    server.settled(child["session"]["id"])
    told = server.settled(session, 2)
    assert [each["id"] for each in told["children"]] == [child["session"]["id"]]
    assert curl(
        f'curl -X DELETE "http://localhost:3000/api/sessions/{session}?instanceId={instance}&cleanupWorkspace=true"'
    ).endswith("\n200")
    assert not Path(newest["directory"]).exists()
    kept = f"refs/fleet/kept/{newest['workspaceId']}"
    assert git(project, "show", f"{kept}:{change['file']}") == change["after"].rstrip("\n")
    for search, titles in (("auth&status=stopped&limit=10", ["Implement auth module"]), ("auth&status=completed", [])):
        past = curl(f'curl "http://localhost:3000/api/sessions/history?search={search}"').removesuffix("\n200")
        assert [each["title"] for each in json.loads(past)] == titles
    assert curl('curl "http://localhost:3000/api/sessions/history?search=auth&status=completed&limit=10"') == "[]\n200"
    permanently = f"http://localhost:3000/api/sessions/{session}?instanceId={instance}&permanent=true"
    assert curl(f'curl -X DELETE "{permanently}"').endswith("\n200")
    assert curl(f'curl -X DELETE "{permanently}"').endswith("\n410")
    server.refused(410, "erased", "GET", f"/sessions/{session}")


# --------------------------------------------------------------------------------------------------- permission rules

RULES: dict[str, Any] = {
    "bash": {"*": "ask", "ls *": "allow", "git *": "allow", "git log*": "ask", "rm *": "deny", "echo ?": "allow"},
    "edit": {"*": "allow", "*.lock": "deny", "src/*": "ask"},
}
RULED = """
bash "ls"
bash "git status --short && ls -a"
bash "git log --oneline | head -2"
bash "touch 'a b' && echo \\"$(whoami) x; y\\" > out.txt; cd . && echo x"
bash "env 2>&1 | tee log | head -1 > f && true"
bash "env > x && echo y > z; (env | head -1) 2>/dev/null"
bash "if test -f a; then echo 2; fi; FOO=1 env | grep FOO || true"
bash "echo 1; rm -f nothing"
write a.txt: "a"
write src/b.txt: "b"
write deep/c.lock: "c"
read .env
---
say "Done."
"""


def answered(server: Server, session_id: str) -> bool:
    """Allow what the session asks for, once, and return whether its turn has ended."""
    for request in server.call("GET", f"/sessions/{session_id}/requests"):
        if not request["answered"]:
            server.call("POST", f"/sessions/{session_id}/requests/{request['id']}", {"reply": "once"})
    return server.session(session_id)["outcome"] is not None


def test_rules_ask_allow_and_deny_what_opencode_does(server: Server, project: Path) -> None:
    git(project, "switch", "--quiet", "--create", "ruled")
    (project / "opencode.json").write_text(json.dumps({"permission": RULES}))
    (project / ".env").write_text("A=1\n")
    git(project, "add", "--force", "opencode.json", ".env")
    git(project, "commit", "--quiet", "--message", "Rule")
    git(project, "switch", "--quiet", "main")
    item = server.create(project, RULED, isolationStrategy="worktree", baseRef="ruled")
    until(lambda: answered(server, item["id"]), "the end of the turn")

    calls = {part["callID"]: part for part in _bodies(server, item["id"], "session.part-recorded", "tool")}
    requests = {
        each["tool"]["callID"]: (each["permission"], each["patterns"])
        for each in _bodies(server, item["id"], "session.request-opened", None)
    }
    assert len(calls) == 12
    rules = (*OPENCODE_RULES, *rules_of(RULES))
    seen: list[tuple[str, str, Any]] = []
    judged: list[tuple[str, str, Any]] = []
    for call_id, part in calls.items():
        asks = asks_of(part["tool"], part["state"]["input"], item["directory"])
        words = json.dumps(part["state"]["input"])
        asked = requests.get(call_id)
        denied = part["state"]["status"] == "error" and asked is None
        seen.append((words, "ask" if asked else "deny" if denied else "allow", asked))
        action = judge(asks, rules).action
        needed = [(each.permission, list(each.patterns)) for each in asks]
        judged.append((words, action, needed[-1] if action == "ask" else None))
    assert judged == seen
    assert {action for _, action, _ in seen} == {"allow", "ask", "deny"}

    (trial,) = server.call("POST", "/policy/try", {"permission": RULES, "sessions": [item["id"]]})["sessions"]
    actions = [action for _, action, _ in seen]
    assert (trial["allowed"], trial["asked"], trial["blocked"]) == tuple(map(actions.count, ("allow", "ask", "deny")))
    assert (trial["newlyAsked"], trial["newlyAllowed"]) == (0, 0)


def _bodies(server: Server, session_id: str, kind: str, part: str | None) -> list[dict[str, Any]]:
    events = server.call("GET", f"/log?session={session_id}&type={kind}&limit=200")
    return [event["data"]["body"] for event in events if part is None or event["data"]["type"] == part]
