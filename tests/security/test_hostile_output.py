"""What an agent or a repository may let Fleet say: endless lines, bytes that are no text, orders to terminals."""

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from fleet.adapters.opencode.events import OpenCodeEventStream
from fleet.core.instance.events import InstanceLost
from fleet.events import batch
from fleet.limits import EVENT_LINE_BYTES_MAX, MIB
from fleet.ports import Endpoint, Exit, StatusChanged, StreamLost, StreamOpened
from tests.adapters.opencode.server import Server, chunk
from tests.adapters.opencode.test_events import CONNECTED, HEAD, idle
from tests.cli.test_ps import GONE, ps, started, write_log
from tests.fakes.opencode import FakeOpenCodeWorld
from tests.fakes.opencode_turn import Turn
from tests.gateway.machine import PLAIN, Machine

EVIL = "\x1b]0;title\x07\x1b[2J\x1b[31mred\x9b5n\x08\u202edesrever\r hidden"
ORDERS = ("\x1b", "\x07", "\x9b", "\x08", "\u202e", "\r")


async def test_an_endless_line_is_cut_and_the_stream_continues(nursery: trio.Nursery) -> None:
    server = await Server.start(nursery)
    piece = chunk(b"x" * MIB)

    async def endless(connection: trio.SocketStream) -> None:
        await connection.send_all(HEAD + chunk(CONNECTED) + chunk(b"data: "))
        with suppress(trio.BrokenResourceError):  # it has seen enough
            for _ in range(100):
                await connection.send_all(piece)

    server.answers.append(endless)
    server.say(
        HEAD + chunk(CONNECTED), chunk(b"data: \xff\xfe\xc3\n\n"), chunk(b'data: {"a": "\xff"}\n\n'), chunk(idle("s"))
    )
    stream = OpenCodeEventStream(Endpoint(server.port, ""), "Basic eDp5")
    seen: list[Any] = []
    with trio.fail_after(60):
        async for event in stream:
            seen.append(event)
            assert stream_bytes(stream) <= EVENT_LINE_BYTES_MAX + 2 * MIB
            if isinstance(event, StatusChanged):
                break
    stream.close()
    assert [type(event) for event in seen] == [StreamOpened, StreamLost, StreamOpened, StatusChanged]


def stream_bytes(stream: OpenCodeEventStream) -> int:
    return stream._lines._size_bytes


async def test_a_part_that_is_too_large_for_the_log_does_not_hold_the_turn(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "EVENT_BYTES_MAX", 4000)
    speak = Turn._speak

    async def shout(turn: Turn, answer: Any, text: str) -> None:
        await speak(turn, answer, "x" * 10_000 if "shout" in text else text)

    monkeypatch.setattr(Turn, "_speak", shout)
    async with Machine(FakeOpenCodeWorld(nursery, lost_idle_chance=0, swallowed_term_chance=0)).fleet() as api:
        item = await api.session(PLAIN)
        with trio.fail_after(30):
            assert (await api.prompt(item["id"], "shout"))["outcome"] == "finished"
            assert (await api.prompt(item["id"], "quietly"))["outcome"] == "finished"
        messages = (await api.send("GET", f"/api/sessions/{item['id']}/messages")).body
        assert b"quietly" in messages
        assert len(messages) < 10_000


async def test_pages_that_an_agent_writes_are_no_pages_of_fleet(nursery: trio.Nursery, tmp_path: Path) -> None:
    machine = Machine(FakeOpenCodeWorld(nursery, lost_idle_chance=0, swallowed_term_chance=0))
    root = tmp_path.resolve() / "project"
    root.mkdir()
    (root / "evil.html").write_text("<script>alert(1)</script>")
    machine.files.directories.add(str(root))
    async with machine.fleet() as api:
        item = await api.session(str(root), title="<script>alert(2)</script>")
        await api.prompt(item["id"], "<script>alert(3)</script>")
        for path in ("/files/evil.html", "/files/evil.html?x=%3Cscript%3E", "/messages", "", "/%3Cscript%3E"):
            answer = await api.send("GET", f"/api/sessions/{item['id']}{path}")
            assert answer.headers["content-type"] in ("application/json", "application/problem+json")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_no_order_to_a_terminal_comes_through_the_command(tmp_path: Path) -> None:
    events = [
        *started("0198c0de-0000-7000-8000-000000000000", GONE),
        InstanceLost(exit=Exit(1, None), evidence=EVIL, at_ms=2000),
    ]
    write_log(tmp_path, **{"0198c0de-0000-7000-8000-000000000000": events})
    shown = ps(tmp_path).stdout
    assert "desrever" in shown
    assert not any(spec in shown for spec in ORDERS)


def test_log_on_a_terminal_has_no_control_sequences() -> None:
    program = (
        "import structlog; from fleet.logs import configure_logs; configure_logs();"
        f"structlog.get_logger().warning('said', detail={EVIL!r}, names=[{EVIL!r}]);"
        f"from fleet.errors import Problem\n"
        f"try: raise Problem('internal', {EVIL!r})\n"
        "except Problem: structlog.get_logger().exception('failed')"
    )
    terminal, other = pty.openpty()
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "dumb"}
    with subprocess.Popen([sys.executable, "-c", program], stderr=other, env=environment) as process:
        os.close(other)
        shown = b""
        try:
            while piece := os.read(terminal, 65536):
                shown += piece
        except OSError:  # its other end is closed
            pass
        assert process.wait(20) == 0
    os.close(terminal)
    text = shown.decode().replace("\r\n", "\n")
    assert text.count("desrever") >= 3
    coloured = re.sub(r"\x1b\[\d*m", "", text)  # by ourselves
    assert not any(spec in coloured for spec in ORDERS)


def test_errors_of_the_command_are_plain(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from fleet.cli import main; main()", "doctor", "--data-dir", f"/proc/{EVIL}"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)},
    )
    assert "desrever" in done.stdout + done.stderr
    assert not any(spec in done.stdout + done.stderr for spec in ORDERS)
