"""How long does it take from a prompt to the first word of the answer? Through Fleet, and straight to its OpenCode.

Two sessions of one OpenCode process answer in turn, in one worktree: one belongs to Fleet, the other was made by hand
and Fleet does not know it. Streams and connections are open before; the rehearsal model answers at once, from a
process of its own: in Fleet's, as usually, it would wait for Fleet. With a directory that is used as it stands, a
snapshot comes before each prompt, so that has a row of its own.

Run: python -m bench first_delta
"""

import base64
import json
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

from bench.figures import Figure, show
from bench.server import FLEET, Server, create_session, fleet, free_port, make_repository, running
from fleet.rehearsal.config import opencode_config
from fleet.rehearsal.script import fenced

ROUNDS = 80
OVERHEAD_MS = 3.0
_TIMEOUT_S = 30.0
_POLL_S = 0.02
_QUIET_S = 0.1
"""After a turn: OpenCode says that it is idle and works on, for some 100 ms, which would count for the other side."""
_PROMPT = fenced('say "Done."')


class Side(NamedTuple):
    """A way to prompt a session: its open event stream, the sign of a first word in it, and when a turn is over."""

    stream: socket.socket
    sign: bytes
    prompt: Callable[[], None]
    is_over: Callable[[], bool]


@contextmanager
def _following(address: tuple[str, int], path: str, *headers: str) -> Generator[socket.socket]:
    with socket.create_connection(address, _TIMEOUT_S) as stream:
        stream.sendall("\r\n".join((f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", "")).encode())
        if not stream.recv(4096).startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path} gives no stream: run it by hand to see why")
        yield stream


def first_delta_ms(side: Side) -> float:
    """Prompt, and return the time to the first word; then wait for the turn's end."""
    _drain(side.stream)  # OpenCode's own stream has the events of all sessions
    seen = b""
    started_s = time.perf_counter()
    side.prompt()
    while side.sign not in seen:
        received = side.stream.recv(1 << 16)
        if not received:
            raise RuntimeError("a stream has ended: run it by hand to see why")
        seen = seen[-len(side.sign) :] + received
    took_ms = (time.perf_counter() - started_s) * 1000
    deadline_s = time.monotonic() + _TIMEOUT_S
    while not side.is_over():
        if time.monotonic() > deadline_s:
            raise RuntimeError("a turn does not end: run it by hand to see why")
        time.sleep(_POLL_S)
    time.sleep(_QUIET_S)
    return took_ms


def _drain(stream: socket.socket) -> None:
    stream.setblocking(False)
    try:
        while stream.recv(1 << 16):
            pass
    except BlockingIOError:
        pass
    stream.settimeout(_TIMEOUT_S)


@contextmanager
def through_fleet(server: Server, session_id: str) -> Generator[Side]:
    """Open a session of the server."""
    path = f"/api/sessions/{session_id}"

    def prompt() -> None:
        server.http.post(f"{path}/prompt", json={"text": _PROMPT}).raise_for_status()

    def is_over() -> bool:
        session = server.http.get(path).raise_for_status().json()
        return session["status"] == "idle" and not session["queued"]

    with _following(("127.0.0.1", server.port), f"{path}/events") as stream:
        yield Side(stream, b"event: delta\n", prompt, is_over)


@contextmanager
def straight(server: Server, root: Path, made: Any) -> Generator[Side]:
    """Open the same for a session of our own in the same directory of the same process; its files are below `root`."""
    instance_id, directory = made["session"]["instanceId"], made["session"]["directory"]
    instance = server.http.get(f"/api/instances/{instance_id}").raise_for_status().json()
    (listener,) = (each for each in psutil.Process(instance["pid"]).net_connections("tcp4") if each.status == "LISTEN")
    (password,) = (each.read_text("ascii").strip() for each in root.rglob(f"instances/{instance_id}/password"))
    with httpx.Client(
        base_url=f"http://{listener.laddr.ip}:{listener.laddr.port}",
        auth=("opencode", password),
        timeout=_TIMEOUT_S,
        trust_env=False,
    ) as http:
        where = {"directory": directory}
        opencode_id = http.post("/session", params=where, json={"title": "Bench"}).raise_for_status().json()["id"]

        def prompt() -> None:
            body = {"parts": [{"type": "text", "text": _PROMPT}]}
            http.post(f"/session/{opencode_id}/prompt_async", params=where, json=body).raise_for_status()

        def is_over() -> bool:
            return opencode_id not in http.get("/session/status", params=where).raise_for_status().json()

        credentials = base64.b64encode(f"opencode:{password}".encode()).decode()
        with _following(listener.laddr, "/global/event", f"Authorization: Basic {credentials}") as stream:
            yield Side(stream, b'"message.part.delta"', prompt, is_over)


def _measure(root: Path, strategy: str) -> tuple[float, float]:
    """Return the medians, through Fleet and straight, in ms."""
    data_dir, port = root / "data", free_port()
    repository = make_repository(root / "repository")
    configuration = root / "home/config/opencode/opencode.json"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(json.dumps(opencode_config(f"http://127.0.0.1:{port}/v1")), "utf-8")
    with (
        running([*FLEET, "rehearsal", "--port", str(port)], port, "/health", os.environ),
        fleet(data_dir, "--rehearsal", "never", home=root / "home") as server,
    ):
        made = create_session(server, repository, strategy)
        with (
            through_fleet(server, made["session"]["id"]) as ours,
            straight(server, data_dir, made) as theirs,
        ):
            for side in (ours, theirs):  # a first turn has OpenCode make a title
                first_delta_ms(side)
            taken = [(first_delta_ms(ours), first_delta_ms(theirs)) for _ in range(ROUNDS)]
    through, direct = (statistics.median(side) for side in zip(*taken, strict=True))
    return through, direct


def main() -> list[Figure]:
    """Measure, print and return."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary).resolve()
        through, straight = _measure(root / "worktree", "worktree")
        shared, straight_there = _measure(root / "existing", "existing")
    return show(
        "first_delta: from a prompt to the first word of the answer, against the same straight to OpenCode",
        [
            Figure("in a worktree, p50", through, "ms", straight),
            Figure("what Fleet adds in a worktree, p50", through - straight, "ms", at_most=OVERHEAD_MS),
            Figure("in a directory as it stands, with a snapshot, p50", shared, "ms", straight_there),
        ],
    )


if __name__ == "__main__":
    main()
