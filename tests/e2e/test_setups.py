"""Workspaces that are ready to work in, on a real server with the real OpenCode and git."""

import signal
from pathlib import Path

from tests.e2e.server import Server, git, repository, until


def shop(directory: Path, setup: str, teardown: str = "") -> Path:
    """A repository with an ignored `.env` that comes along, and a set-up."""
    project = repository(directory)
    (project / ".gitignore").write_text(".env\n")
    (project / ".env").write_text("KEY=mine\n")
    (project / ".worktreeinclude").write_text(".env\n")
    (project / ".fleet.toml").write_text(f"[workspace]\nsetup = '''{setup}'''\nteardown = '''{teardown}'''\n")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "Set up")
    return project


def allow(server: Server, session_id: str) -> None:
    digest = server.call("GET", f"/sessions/{session_id}/setup")["digest"]
    server.call("POST", f"/sessions/{session_id}/setup", {"action": "allow", "digest": digest})


def test_a_workspace_is_set_up_once_a_person_has_allowed_it_and_nothing_else_is(server: Server) -> None:
    torn = server.root / "torn"
    setup = 'echo "begins in $FLEET_SOURCE_DIRECTORY"; cat .env > made.txt; echo $FLEET_PORT_BASE > ../ran'
    project = shop(server.root / "shop", setup, f"cp made.txt '{torn}'")
    script = 'bash "cat .env; echo port $FLEET_PORT_BASE > ../agent-port"\n---\nsay "Done."'
    item = server.create(project, script, isolationStrategy="worktree")
    path = f"/sessions/{item['id']}"
    assert server.became(item["id"], "waiting_input")["setup"]["status"] == "held"
    ran = Path(item["directory"]).parent / "ran"
    assert not ran.exists()
    assert [each["kind"] for each in server.call("GET", "/inbox")] == ["setup"]
    with server.follow(f"{path}/events?after=0") as stream:
        allow(server, item["id"])
        [*_, written] = stream.until("session.setup-output")
        assert written["data"]["data"]["text"] == f"begins in {project}\n"
        stream.until("session.setup-ended")
    done = server.settled(item["id"])
    assert (done["outcome"], done["setup"]["exitCode"]) == ("finished", 0)
    assert ran.exists()
    assert server.call("GET", f"{path}/diffs") == []  # what the set-up made is not the session's
    place, ports = ran.parent, server.call("GET", f"/workspaces/{item['workspaceId']}")["ports"]
    assert ran.read_text() == f"{ports['first']}\n"
    assert (place / "agent-port").read_text() == f"port {ports['first']}\n"  # of a process that workspaces share
    other = server.create(project, script.replace("cat .env; ", ""), isolationStrategy="worktree")
    assert server.settled(other["id"])["instanceId"] == done["instanceId"]
    second = (Path(other["directory"]).parent / "agent-port").read_text()
    assert second == f"port {ports['first'] + ports['count']}\n"
    git(project, "checkout", "--quiet", "-b", "trap")
    trap = server.root / "trapped"
    (project / ".fleet.toml").write_text(f"[workspace]\nsetup = \"touch '{trap}'\"\n")
    git(project, "commit", "--quiet", "-a", "-m", "Run something else")
    hostile = server.create(project, isolationStrategy="worktree", baseRef="trap")
    assert server.became(hostile["id"], "waiting_input", "idle")["status"] == "waiting_input"
    server.call("DELETE", f"/sessions/{hostile['id']}")
    assert not trap.exists()
    ended = server.call("DELETE", f"{path}?cleanupWorkspace=true")
    assert ended["workspace"]["removed"]
    assert torn.read_text() == "KEY=mine\n"


def test_a_server_that_is_killed_in_a_set_up_ends_it_and_runs_it_again(stopped: Server) -> None:
    project = shop(stopped.root / "shop", "echo x >> ../runs; setsid sleep 300 & test -e ../again || sleep 300")
    stopped.start()
    item = stopped.create(project, isolationStrategy="worktree")
    place = Path(item["directory"]).parent
    stopped.became(item["id"], "waiting_input")
    allow(stopped, item["id"])
    old = until(lambda: stopped.running("300"), "the set-up")
    assert stopped.call("GET", "/instances/orphans") == []
    stopped.end(signal.SIGKILL)
    assert stopped.running("300")
    (place / "again").touch()
    stopped.start()
    until(lambda: stopped.session(item["id"])["setup"]["status"] == "done", "the second set-up")
    assert not stopped.running("300") & old
    assert stopped.running("300") == set()
    assert (place / "runs").read_text() == "x\nx\n"
    assert stopped.end() == 0
