"""Fleet's permission rules decide as the real OpenCode does: what is asked, what runs, what is denied."""

import json
from typing import Any

from fleet.core.permission_rules import OPENCODE_RULES, judge, rules_of
from fleet.core.tool_permissions import asks_of
from tests.e2e.server import Server, git, repository, until

RULES: dict[str, Any] = {
    "bash": {"*": "ask", "ls *": "allow", "git *": "allow", "git log*": "ask", "rm *": "deny", "echo ?": "allow"},
    "edit": {"*": "allow", "*.lock": "deny", "src/*": "ask"},
}
SCRIPT = """
bash "ls"
---
bash "git status --short && ls -a"
---
bash "git log --oneline | head -2"
---
bash "touch 'a b' && echo \\"$(whoami) x; y\\" > out.txt; cd . && echo x"
---
bash "env 2>&1 | tee log | head -1 > f && true"
---
bash "env > x && echo y > z; (env | head -1) 2>/dev/null"
---
bash "if test -f a; then echo 2; fi; FOO=1 env | grep FOO || true"
---
bash "echo 1; rm -f nothing"
---
write a.txt: "a"
---
write src/b.txt: "b"
---
write deep/c.lock: "c"
---
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


def test_rules_ask_allow_and_deny_what_opencode_does(server: Server) -> None:
    project = repository(server.root / "ruled")
    (project / "opencode.json").write_text(json.dumps({"permission": RULES}))
    (project / ".env").write_text("A=1\n")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Rule")
    item = server.create(project, SCRIPT, isolationStrategy="worktree")
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
