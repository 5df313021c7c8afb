"""The output of `fleet demo`: its sessions as they work, and what they changed.

A `Card` is folded from the frames of Fleet's event stream; the `Stage` has one for each session, and shows them side by
side on a terminal, or as plain lines elsewhere.
"""

import os
import subprocess
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import trio
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from fleet.cli.demo_tasks import DemoTask
from fleet.client.sse import FrameParser
from fleet.environment import passed_on
from fleet.errors import StartupError
from fleet.escape import plain
from fleet.limits import DEMO_REFRESH_S

Frame = dict[str, Any]

_SIDE_BY_SIDE_COLUMNS: Final = 90  # a narrower terminal gets one card below the other
_LINES_SHOWN: Final = 12
_STATUS: Final = {
    "session.workspace-attached": "its worktree is ready",
    "session.instance-attached": "OpenCode is ready",
    "session.turn-started": "working",
    "session.turn-ended": "done",
    "session.turn-failed": "failed",
    "session.provision-failed": "failed",
}


class Card:
    """One session: its status, what it did, and what it is writing."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.status = "being created"
        self.directory = ""
        self.lines: list[str] = []
        self.writing = ""
        self.ended = trio.Event()
        self._seen: set[str] = set()

    def take(self, kind: str, data: Frame) -> str | None:
        """Take a frame; return the line that it adds, if any."""
        self.status = _STATUS.get(kind, self.status)
        if kind == "session.turn-ended" and data["data"]["outcome"] != "finished":
            self.status = "cut short"
        if kind in ("session.turn-ended", "session.turn-failed", "session.provision-failed"):
            self.writing = ""
            self.ended.set()
        if kind == "delta":
            self.writing += data["delta"]
        if kind == "session.part-recorded":
            return self._take_part(data["data"]["body"])
        return None

    def _take_part(self, part: Frame) -> str | None:
        if part["id"] in self._seen or (line := _line(part)) is None:
            return None
        self._seen.add(part["id"])
        self.writing = ""
        self.lines.append(line)
        return line

    def render(self) -> RenderableType:
        """Return the card for a terminal."""
        shown = [Text(line, "dim" if line.startswith("  ") else "") for line in self.lines[-_LINES_SHOWN:]]
        body = Group(*shown, Text(self.writing, "cyan"))
        colour = {"done": "green", "failed": "red", "cut short": "red"}.get(self.status, "yellow")
        title = f"[bold]{escape(self.title)}[/bold] · [{colour}]{self.status}[/{colour}]"
        return Panel(body, title=title, title_align="left", height=_LINES_SHOWN + 4)


def _line(part: Frame) -> str | None:
    if part["type"] == "tool":
        state = part["state"]
        given: Frame = state.get("input") or {}
        about = given.get("command") or Path(given.get("filePath", "")).name or state.get("title", "")
        mark = "✓" if state["status"] == "completed" else "✗"
        return f"  {mark} {part['tool']} {about}"
    if part["type"] in ("text", "reasoning") and part["text"].strip() and "```rehearsal" not in part["text"]:
        return str(part["text"]).strip()
    return None


class Stage:
    """All sessions of the demo on one terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._cards: dict[str, Card] = {}
        self._early: list[tuple[str, str, Frame]] = []
        self._interrupted = False

    @property
    def succeeded(self) -> bool:
        """Say whether every session did its work."""
        return not self._interrupted and bool(self._cards) and all(c.status == "done" for c in self._cards.values())

    def say(self, line: str) -> None:
        """Print a line."""
        self._console.print(line, soft_wrap=True)

    def interrupted(self) -> None:
        """Note that the person has seen enough."""
        self._interrupted = True

    async def open(self, http: httpx.AsyncClient, project: Path, task: DemoTask) -> None:
        """Create the session of a task, and wait until it works. Raises `StartupError` where that is refused."""
        body = {
            "directory": str(project),
            "title": task.title,
            "isolationStrategy": "worktree",
            "initialPrompt": task.prompt,
        }
        answer = await http.post("/sessions", json=body)
        if answer.is_error:
            problem = answer.json()
            raise StartupError(f"{problem['detail']}. {problem.get('hint', '')}".rstrip())
        session = answer.json()["session"]
        self._cards[session["id"]].directory = session["directory"]

    async def follow(self, http: httpx.AsyncClient, *, task_status: trio.TaskStatus[None]) -> None:
        """Follow the event stream, and give each session's frames to its card."""
        async with http.stream("GET", "/events", timeout=None) as answer:
            task_status.started()
            parser = FrameParser()
            async for chunk in answer.aiter_bytes():
                for frame in parser.feed(chunk):
                    self._take(frame.name, msgspec.json.decode(frame.data))

    def _take(self, kind: str, data: Frame) -> None:
        session_id = data.get("sessionId") or str(data.get("stream", "")).partition("session-")[2]
        if kind == "session.created":
            self._cards[session_id] = Card(data["data"]["settings"]["title"])
        if (card := self._cards.get(session_id)) is None:
            return
        before = card.status
        line = card.take(kind, data)
        if not self._console.is_terminal:
            for said in (card.status if card.status != before else None, line):
                if said is not None:
                    self._console.print(f"{card.title}: {said}", markup=False, soft_wrap=True)

    @contextmanager
    def live(self, nursery: trio.Nursery) -> Generator[None]:
        """Keep the picture fresh while the block runs."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, auto_refresh=False, get_renderable=self._render) as picture:
            nursery.start_soon(_refresh, picture)
            yield

    def _render(self) -> RenderableType:
        cards = [card.render() for card in self._cards.values()]
        if self._console.width < _SIDE_BY_SIDE_COLUMNS or not cards:
            return Group(*cards)
        grid = Table.grid(expand=True)
        for _ in cards:
            grid.add_column(ratio=1)
        grid.add_row(*cards)
        return grid

    async def finished(self) -> None:
        """Wait until every session has ended its turn."""
        for card in list(self._cards.values()):
            await card.ended.wait()

    async def show_failures(self, http: httpx.AsyncClient, remarks: Iterable[str]) -> None:
        """Say why each session that did not do its work failed; `remarks` on the environment may explain it."""
        unfinished = [(key, card) for key, card in self._cards.items() if card.status != "done"]
        for session_id, card in unfinished:
            self._console.print(f"\n{card.title}: {await _reason(http, session_id)}", markup=False, soft_wrap=True)
        if unfinished:
            for remark in remarks:
                self._console.print(f"Note: {plain(remark)}", markup=False, soft_wrap=True)
            self._console.print("`fleet doctor` checks what Fleet needs.", soft_wrap=True)

    def show_changes(self) -> None:
        """Print what each session changed in its worktree."""
        for card in self._cards.values():
            self._console.print(f"\n[bold]{escape(card.title)}[/bold] changed in {card.directory}:", soft_wrap=True)
            _git(card.directory, "add", "--intent-to-add", ".")
            self._console.print(_git(card.directory, "diff", "--stat"), markup=False, end="")
            self._console.print(Syntax(_git(card.directory, "diff"), "diff", background_color="default"))


async def _reason(http: httpx.AsyncClient, session_id: str) -> str:
    """Return why the session has not finished, in the words of the server."""
    item: Frame = (await http.get(f"/sessions/{session_id}")).json()
    if failure := item.get("failure"):
        return plain(f"failed ({failure['code']}): {failure['detail']}")
    return plain(f"{item['status']}: {item['evidence']}")


async def _refresh(picture: Live) -> None:
    while True:
        picture.refresh()
        await trio.sleep(DEMO_REFRESH_S)


def _git(directory: str, *arguments: str) -> str:
    command = ["git", "-c", "color.ui=never", *arguments]
    environment = passed_on(os.environ)
    return subprocess.run(
        command, cwd=directory, env=environment, check=True, capture_output=True, text=True, errors="replace"
    ).stdout
