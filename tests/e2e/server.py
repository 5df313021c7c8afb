"""A real `fleet serve` for tests: its own data, home and port, the rehearsal model, and an end in every case."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import httpx
import psutil

from fleet.limits import KEEP_ALIVE_S
from fleet.rehearsal.home import furnish, without_models
from fleet.rehearsal.script import fenced
from tests.patience import PATIENCE_S

T = TypeVar("T")
MARKER = "FLEET_INSTANCE_ID"


def until(found: Callable[[], T | None], what: str, deadline_s: float = 180.0) -> T:
    """Return what `found` finds, once it does."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        result = found()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {deadline_s} s")


def git(directory: Path, *arguments: str) -> str:
    """Run git there and return what it says."""
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    done = subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True, text=True)
    return done.stdout.strip()


ROOT: Final = Path(__file__).parents[2]
"""The checkout that these tests belong to: the server is its, wherever the environment was installed from."""


def repository(directory: Path) -> Path:
    """Make a repository with one commit on `main`."""
    directory.mkdir(parents=True)
    git(directory, "init", "--quiet", "--initial-branch=main")
    (directory / "README.md").write_text("# A project\n")
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "-m", "Begin")
    return directory


class Server:
    """A server on a place of its own: `start` and `end` it as often as you like."""

    def __init__(self, root: Path, opencode: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.opencode = opencode
        self.log = root / "server.log"
        self.http: httpx.Client
        self._process: subprocess.Popen[bytes] | None = None
        self._begin = 0

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a server here."""
        options = ("--port", "0", "--data-dir", str(self.data), "--opencode", str(self.opencode))
        return [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); from fleet.cli import main; main()",
            "serve",
            *options,
            "--rehearsal",
            "always",
            *arguments,
        ]

    def environment(self) -> dict[str, str]:
        """Return an environment that knows nothing of this machine's user."""
        home = self.root / "home"
        xdg = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("DATA", "CONFIG", "STATE", "CACHE")}
        path = os.environ["PATH"]
        models = without_models(home / "models.json")
        return {"PATH": path, "HOME": str(home), **xdg, "LANG": "C.UTF-8", **models}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a server that is expected to end by itself."""
        return subprocess.run(
            self.command(*arguments), env=self.environment(), capture_output=True, text=True, timeout=30, check=False
        )

    def start(self, *arguments: str) -> None:
        """Start and wait until it is ready."""
        self.launch(*arguments)
        self.await_ready()

    def launch(self, *arguments: str) -> None:
        """Start, and do not wait."""
        furnish(self.root / "home/config/opencode")
        self._begin = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(*arguments),
                env=self.environment(),
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def await_ready(self) -> None:
        """Wait until a launched server is ready."""

        def url() -> str | None:
            said = self.log.read_bytes()[self._begin :].decode()
            assert self.process.poll() is None, said
            ready = re.search(r"is ready at (\S+)", said)
            return ready and ready.group(1)

        # The server closes idle connections after `KEEP_ALIVE_S`: a request must not meet one that is being closed.
        self.http = httpx.Client(
            base_url=until(url, "the start", PATIENCE_S),
            timeout=PATIENCE_S,
            trust_env=False,
            limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE_S / 2),
        )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running server."""
        assert self._process is not None
        return self._process

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and return the exit code."""
        self.http.close()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """End everything that was started here, in every state."""
        http: httpx.Client | None = getattr(self, "http", None)
        if http is not None:
            http.close()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
        for process in self.marked():
            process.kill()

    def marked(self) -> list[psutil.Process]:
        """Return every living process that was started for an instance of this server."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                environment = process.environ()
                own = MARKER in environment and environment.get("HOME") == str(self.root / "home")
                if own and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def running(self, word: str) -> set[int]:
        """Return the processes among them that have the word on their command line."""
        found: set[int] = set()
        for process in self.marked():
            with suppress(psutil.Error):
                if word in process.cmdline():
                    found.add(process.pid)
        return found

    # ----------------------------------------------------------------------------------------------------- the API

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request that must work, and return what the answer holds."""
        answer = self.http.request(method, f"/api{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def refused(self, status: int, code: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Send a request that must be refused, and return the problem."""
        answer = self.http.request(method, f"/api{path}", json=body)
        problem: dict[str, Any] = answer.json()
        assert (answer.status_code, problem["code"]) == (status, code), problem
        return problem

    def create(self, directory: Path, script: str | None = None, **fields: Any) -> dict[str, Any]:
        """Create a session and return its item; with a script it begins to work."""
        body = {"directory": str(directory), **fields}
        if script is not None:
            body["initialPrompt"] = fenced(script)
        item: dict[str, Any] = self.call("POST", "/sessions", body)["session"]
        return item

    def prompt(self, session_id: str, script: str) -> None:
        """Send a script."""
        self.call("POST", f"/sessions/{session_id}/prompt", {"text": fenced(script)})

    def session(self, session_id: str) -> dict[str, Any]:
        """Return the session's item."""
        item: dict[str, Any] = self.call("GET", f"/sessions/{session_id}")
        return item

    def settled(self, session_id: str, turns: int = 1) -> dict[str, Any]:
        """Wait until so many turns have run and nothing waits, and return the session's item."""

        def item() -> dict[str, Any] | None:
            item = self.session(session_id)
            busy = item["status"] in ("created", "active", "waiting_input") or item["queued"]
            return None if busy or item["turns"] < turns else item

        return until(item, f"turn {turns}")

    def became(self, session_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until the session has one of these statuses, and return its item."""

        def item() -> dict[str, Any] | None:
            item = self.session(session_id)
            return item if item["status"] in statuses else None

        return until(item, " or ".join(statuses))

    def texts(self, session_id: str) -> list[str]:
        """Return the texts of the transcript, scripts cut down to nothing."""
        messages = self.call("GET", f"/sessions/{session_id}/messages?limit=200")["messages"]
        parts = [(m["info"]["role"], part) for m in messages for part in m["parts"] if part["type"] == "text"]
        return [part["text"] for role, part in parts if role == "assistant"]

    @contextmanager
    def follow(self, path: str, headers: Mapping[str, str] | None = None) -> Generator["Follower"]:
        """Open an event stream."""
        with self.http.stream("GET", f"/api{path}", headers=dict(headers or {})) as response:
            assert response.status_code == 200
            with closing(cast("Generator[str]", response.iter_lines())) as lines:
                yield Follower(lines)


class Follower:
    """An open event stream."""

    def __init__(self, lines: Generator[str]) -> None:
        self._lines = lines

    def frame(self) -> dict[str, Any]:
        """Return the next frame: `event`, `id` where there is one, `data`."""
        fields: dict[str, Any] = {}
        for line in self._lines:
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = json.loads(value) if name in ("data", "id") else value
            elif fields:
                return fields
        raise EOFError

    def until(self, event: str) -> list[dict[str, Any]]:
        """Return the frames up to the first of this kind."""
        frames = [self.frame()]
        while frames[-1]["event"] != event:
            frames.append(self.frame())
        return frames


def logged(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those that stand in the log."""
    return [frame for frame in frames if "id" in frame]
