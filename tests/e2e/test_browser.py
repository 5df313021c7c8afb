"""A browser's own EventSource and WebSocket miss nothing while connections are cut and the server is killed."""

import signal
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random

import msgspec
import trio

from fleet.events.catalog import make_registry
from tests.browser.chromium import Chromium
from tests.browser.front import Front
from tests.e2e.drill.readers import Frame
from tests.e2e.drill.screen import Screen
from tests.e2e.drill.test_streams import Stage, log, texts, work
from tests.e2e.server import Server, repository
from tests.patience import PATIENCE_S

PAGE = (Path(__file__).parents[1] / "browser/streams.html").read_text()
KILLS = 2


class Page:
    """What the page hands on, put together for each of its readers."""

    def __init__(self) -> None:
        self.screens = {name: Screen(f"the browser's {name}") for name in ("source", "socket")}
        self.opened: Counter[str] = Counter()

    def report(self, body: bytes) -> None:
        for reader, kind, data in msgspec.json.decode(body, type=list[tuple[str, str, str]]):
            screen = self.screens[reader]
            if kind == "open":
                self.opened[reader] += 1
            elif kind == "frame":
                msgspec.json.decode(data, type=Frame).show(screen)
            else:
                take = {"event": screen.event, "snapshot": screen.snapshot, "signal": screen.signal}
                take[kind](data.encode())


async def test_a_browser_has_the_log_and_the_right_texts(stopped: Server) -> None:
    random = Random(7)
    stage, page = Stage(stopped), Page()
    await stage.up()
    project = repository(stopped.root / "project")
    browser = Chromium(stopped.root / "profile")
    names = msgspec.json.encode(sorted(make_registry()._entries)).decode()
    front = Front(PAGE.replace("NAMES", names).encode(), page.report, lambda: stage.url, random)
    async with trio.open_nursery() as serving:
        (listener,) = await serving.start(partial(trio.serve_tcp, front.serve, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        with browser.visiting(f"http://localhost:{port}/"):
            with trio.fail_after(PATIENCE_S):
                while len(page.opened) < 2:  # noqa: ASYNC110 - the page sends no notification
                    await trio.sleep(0.1)
            body = {"directory": str(project), "isolationStrategy": "worktree"}
            session_id = (await stage.call("POST", "/sessions", body))["session"]["id"]
            stopping = trio.Event()
            async with trio.open_nursery() as working:
                working.start_soon(work, stage, session_id, "browser", stopping)
                for _ in range(KILLS):
                    await trio.sleep(random.uniform(3, 5))
                    await stage.down(signal.SIGKILL)
                    await stage.up()
                await trio.sleep(2)
                stopping.set()
            head = len(await log(stage))
            with trio.fail_after(PATIENCE_S):
                while any(screen.cursor < head for screen in page.screens.values()):  # noqa: ASYNC110 - the same
                    await trio.sleep(0.1)
        serving.cancel_scope.cancel()
    entries, expected = await log(stage), await texts(stage, session_id)
    assert len(expected) > 2
    for name, screen in page.screens.items():
        assert screen.events == entries[: len(screen.events)], name
        assert screen.texts(session_id) == expected, name
        assert page.opened[name] > KILLS
    assert any(screen.signals for screen in page.screens.values())
