"""The real OpenCode works by the rehearsal model's scripts: one server and one OpenCode for the whole module."""

import json
import os
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any, TypeVar

import httpx
import pytest
import trio

from fleet.rehearsal.app import serve_rehearsal
from fleet.rehearsal.config import opencode_config
from fleet.rehearsal.home import furnish, without_models
from fleet.rehearsal.script import fenced
from tests.patience import PATIENCE_S

T = TypeVar("T")


def _until(condition: Callable[[], T | None], what: str, deadline_s: float = PATIENCE_S) -> T:
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    pytest.fail(f"{what} did not happen within {deadline_s} s")


class Turn:
    """A finished turn: the messages that OpenCode has for it."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.answers = [message for message in messages if message["info"]["role"] == "assistant"]

    @property
    def text(self) -> str:
        return "".join(part["text"] for part in self.parts("text"))

    def parts(self, kind: str) -> list[dict[str, Any]]:
        return [part for answer in self.answers for part in answer["parts"] if part["type"] == kind]

    def tool(self, name: str) -> dict[str, Any]:
        return next(part["state"] for part in self.parts("tool") if part["tool"] == name)


class Session:
    """One OpenCode session in a directory."""

    def __init__(self, http: httpx.Client, directory: Path, title: str | None) -> None:
        self._http = http
        self.directory = directory
        self.id: str = self.call("POST", "/session", {} if title is None else {"title": title})["id"]
        self._seen = 0

    def call(self, method: str, path: str, body: object = None) -> Any:
        answer = self._http.request(method, path, params={"directory": str(self.directory)}, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def begin(self, prompt: str) -> None:
        self._seen = len(self._messages())
        self.call("POST", f"/session/{self.id}/prompt_async", {"parts": [{"type": "text", "text": prompt}]})

    def stored_parts(self, kind: str) -> list[dict[str, Any]]:
        return Turn(self._messages()[self._seen :]).parts(kind)

    def finished(self) -> Turn:
        return _until(self._turn, "the end of the turn")

    def _turn(self) -> Turn | None:
        if self.id in self.call("GET", "/session/status"):
            return None
        turn = Turn(self._messages()[self._seen :])
        done = turn.answers and "completed" in turn.answers[-1]["info"]["time"]
        return turn if done and turn.answers[-1]["info"].get("finish") != "tool-calls" else None

    def _messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.call("GET", f"/session/{self.id}/message")
        return messages

    def run(self, prompt: str) -> Turn:
        self.begin(prompt)
        return self.finished()


Open = Callable[..., Session]


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    told: Queue[tuple[str, Callable[[], None]]] = Queue()

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            url = await nursery.start(serve_rehearsal)
            token = trio.lowlevel.current_trio_token()
            told.put((url, lambda: token.run_sync_soon(nursery.cancel_scope.cancel)))

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    url, stop = told.get(timeout=10)
    yield url
    stop()
    thread.join(10)


@pytest.fixture(scope="module")
def opencode(opencode_binary: Path, model_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("home")
    furnish(home / "config/opencode")
    password = secrets.token_urlsafe()
    config = {**opencode_config(model_url), "permission": {"*": "allow", "doom_loop": "allow"}, "autoupdate": False}
    xdg = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("DATA", "CONFIG", "STATE", "CACHE")}
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        **xdg,
        "OPENCODE_SERVER_PASSWORD": password,
        "OPENCODE_CONFIG_CONTENT": json.dumps(config),
        **without_models(home / "models.json"),
    }
    log = home / "opencode.log"
    with log.open("wb") as output:
        command = [str(opencode_binary), "serve", "--hostname", "127.0.0.1", "--port", "0"]
        process = subprocess.Popen(
            command, cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        url = _until(
            lambda: re.search(r"listening on (http://\S+)", log.read_text()), "the start of OpenCode", PATIENCE_S
        )
        with httpx.Client(base_url=url[1], auth=("opencode", password), timeout=30.0) as http:
            yield http
    finally:
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


@pytest.fixture
def session(opencode: httpx.Client, tmp_path: Path) -> Session:
    directory = tmp_path / "work"
    subprocess.run(["git", "init", "-q", str(directory)], check=True)
    (directory / "README.md").write_text("hello world\n")
    return Session(opencode, directory, title="rehearsal")


def test_text_reasoning_usage_and_cost(session: Session) -> None:
    turn = session.run(
        fenced("""
think "Hm, let me think."
say "It is "
say 5 tokens at 100/s
usage input 100 output 20 reasoning 5 cached 30
""")
    )
    assert turn.text.startswith("It is ")
    assert len(turn.text.split()) == 7
    assert [part["text"] for part in turn.parts("reasoning")] == ["Hm, let me think."]
    info = turn.answers[-1]["info"]
    assert info["finish"] == "stop"
    assert info["tokens"]["input"] == 70
    assert info["tokens"]["cache"]["read"] == 30
    assert info["tokens"]["output"] + info["tokens"]["reasoning"] == 20
    assert info["cost"] > 0


def test_tools_in_several_steps_and_in_parallel(session: Session) -> None:
    turn = session.run(
        fenced("""
say "I begin."
todo done "look", doing "write", "test"
write src/app.py: <<END
print("hi")
END
read README.md
---
edit README.md: "world" -> "fleet"
bash "cat src/app.py"
---
say "All done."
""")
    )
    assert (session.directory / "src/app.py").read_text() == 'print("hi")\n'
    assert (session.directory / "README.md").read_text() == "hello fleet\n"
    assert 'print("hi")' in turn.tool("bash")["output"]
    assert "hello world" in turn.tool("read")["output"]
    assert {part["state"]["status"] for part in turn.parts("tool")} == {"completed"}
    assert turn.text == "I begin.All done."
    assert len(turn.answers) == 3
    todos = session.call("GET", f"/session/{session.id}/todo")
    assert [todo["status"] for todo in todos] == ["completed", "in_progress", "pending"]


def test_question_waits_for_its_answer(session: Session) -> None:
    session.begin(fenced('question "Which colour?": "Red", "Blue"\n---\nsay "Fine."'))
    asked = _until(lambda: session.call("GET", "/question"), "the question")[0]
    assert [option["label"] for option in asked["questions"][0]["options"]] == ["Red", "Blue"]
    session.call("POST", f"/question/{asked['id']}/reply", {"answers": [["Blue"]]})
    turn = session.finished()
    assert "Blue" in turn.tool("question")["output"]
    assert turn.text == "Fine."


def test_task_runs_a_sub_agent_by_its_own_script(session: Session) -> None:
    turn = session.run("""Delegate.
```rehearsal
task "Write a poem" as general: <<END
~~~rehearsal
write poem.txt: "roses"
---
say "The poem is written."
~~~
END
---
say "My helper is done."
```
""")
    assert (session.directory / "poem.txt").read_text() == "roses"
    assert "The poem is written." in turn.tool("task")["output"]
    assert turn.text == "My helper is done."
    assert len(session.call("GET", f"/session/{session.id}/children")) == 1


def test_an_error_is_retried_until_the_script_has_had_enough(session: Session) -> None:
    turn = session.run(fenced('error 429 retry-after 1 times 1 "slow down"\nsay "Now it works."'))
    assert turn.text == "Now it works."


def test_a_lasting_client_error_ends_the_turn(session: Session) -> None:
    turn = session.run(fenced('error 401 "no key"'))
    error = turn.answers[-1]["info"]["error"]
    assert error["data"]["statusCode"] == 401
    assert "no key" in error["data"]["message"]


def test_after_a_cut_stream_opencode_calls_again_and_gets_the_next_step(session: Session) -> None:
    turn = session.run(fenced('say "Half a sen"\ncut\n---\nsay "Whole."'))
    assert turn.text.endswith("Whole.")


def test_a_stall_lasts_until_the_abort(session: Session) -> None:
    session.begin(fenced('say "I am thinking"\nstall 10m\nsay "too late"'))
    _until(lambda: session.call("GET", "/session/status").get(session.id), "the turn's begin")
    _until(lambda: session.stored_parts("step-start"), "the first chunk")
    session.call("POST", f"/session/{session.id}/abort")
    assert "too late" not in session.finished().text


def test_length_finish(session: Session) -> None:
    turn = session.run(fenced('say "Too long"\nfinish length'))
    assert turn.answers[-1]["info"]["finish"] == "length"


def test_a_second_prompt_starts_its_own_script(session: Session) -> None:
    session.run(fenced('bash "true"\n---\nsay "One."'))
    assert session.run(fenced('say "Two."')).text == "Two."


def test_without_a_script_it_does_a_small_job_and_titles_the_session(opencode: httpx.Client, session: Session) -> None:
    untitled = Session(opencode, session.directory, title=None)
    turn = untitled.run("Add a dark mode toggle")
    assert "Add a dark mode toggle" in (session.directory / "notes/add-a-dark-mode-toggle.md").read_text()
    assert "README.md" in turn.tool("bash")["output"]
    assert "notes/add-a-dark-mode-toggle.md" in turn.text
    title = _until(lambda: _title(untitled), "the title", 10.0)
    assert title == "Add a dark mode toggle"


def _title(session: Session) -> str | None:
    title: str = session.call("GET", f"/session/{session.id}")["title"]
    return None if title.startswith("New session") else title


def test_a_context_summary_is_asked_and_given(session: Session) -> None:
    session.run(fenced('say "One."'))
    body = {"providerID": "rehearsal", "modelID": "rehearsal"}
    assert session.call("POST", f"/session/{session.id}/summarize", body) is True
    messages = session.call("GET", f"/session/{session.id}/message")
    assert any("## Objective" in part.get("text", "") for message in messages for part in message["parts"])
