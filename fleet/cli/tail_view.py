"""Formats a stream for `fleet tail` and `--wait`: prompts, text as it is written, tools, and the end."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from zlib import crc32

from rich.cells import set_cell_size
from rich.text import Text

from fleet.cli.sanitize import SafeConsole, asked_of, line_of, plain
from fleet.cli.show_view import counted
from fleet.wire.frames import Delta, Event, Frame, PartChanged, Snapshot

Data = dict[str, Any]

_HUES: Final = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")
_ABOUT: Final = ("command", "filePath", "path", "pattern", "description", "url", "query")
_SAID: Final = {"text": "", "reasoning": "dim italic"}
"""Parts that are words, and how they look."""
_MARKS: Final = {"completed": ("✓", "green"), "error": ("✗", "red")}


class StreamPrinter:
    """Prints frames, line by line. With `titles` each begins with whose it is; without, text appears as it grows.

    `own` is OpenCode's id of the one session that is followed: lines of its sub-agents have a mark, and come when they
    are whole, because several may write at a time.
    """

    def __init__(
        self, console: SafeConsole, titles: Mapping[str, str] | None = None, *, own: str | None = None
    ) -> None:
        self._console = console
        self._own = own
        self._titles = None if titles is None else dict(titles)
        self._roles: dict[str, str] = {}
        self._printed: set[str] = set()  # parts
        self._growing: dict[str, _Growing] = {}  # parts that are open
        self._open: str | None = None  # the part whose last line has no end yet

    def print(self, frame: Frame) -> None:
        """Print a frame."""
        if isinstance(frame, Event):
            lines = _LINES.get(frame.type)
            if lines is not None and (frame.data or frame.type == "session.erased"):  # erased ones have no data
                for line in lines(self, frame.data):
                    self._line(frame, line)
        elif self._titles is None and self._console.is_terminal:
            self._grow(frame)

    def end(self) -> None:
        """End a line that is open."""
        if self._open is not None:
            self._open = None
            self._console.print()

    def _line(self, event: Event, line: Text) -> None:
        self.end()
        if self._titles is not None:
            session_id = event.session_id or event.stream
            title = set_cell_size(line_of(self._titles.get(session_id, session_id)), 24)
            line = Text.assemble((f"{title} ", _HUES[crc32(session_id.encode()) % len(_HUES)]), line)
        self._console.print(line, soft_wrap=True)

    # ------------------------------------------------------------------------------------------------- text that grows

    def _grow(self, frame: Frame) -> None:
        if isinstance(frame, Snapshot):
            for part in (part for session in frame.sessions for part in session.parts):
                if self._is_own(part.conversation):
                    self._holds(part.part_id, part.message_id, part.type, part.text or "")
        elif isinstance(frame, PartChanged) and self._is_own(frame.conversation):
            part_id, message_id, kind, text = (frame.part.get(key) for key in ("id", "messageID", "type", "text"))
            self._holds(str(part_id), str(message_id), str(kind), str(text or ""))
        elif isinstance(frame, Delta) and frame.part_id in self._growing and frame.field == "text":
            self._paint(frame.part_id, frame.delta)

    def _is_own(self, conversation: str) -> bool:
        return self._own is None or conversation in ("", self._own)

    def _holds(self, part_id: str, message_id: str, kind: str, text: str) -> None:
        """Have an open part hold this text from now on."""
        if kind in _SAID and part_id not in self._printed and self._roles.get(message_id) != "user":
            growing = self._growing.setdefault(part_id, _Growing(_SAID[kind]))
            if not growing.painted.startswith(text):
                self._paint(part_id, text.removeprefix(growing.painted))

    def _paint(self, part_id: str, text: str) -> None:
        if self._open not in (None, part_id):
            self.end()
        growing = self._growing[part_id]
        growing.painted += text
        self._open = part_id
        self._console.print(Text(text, growing.style), end="", soft_wrap=True)

    # ---------------------------------------------------------------------------------------------- events of the log

    def _created(self, data: Data) -> list[Text]:
        title = data["settings"]["title"]
        if self._titles is not None:
            self._titles[data["session_id"]] = title
        return [Text.assemble(("created ", "bold"), f"{line_of(title)} ", (line_of(data["directory"]), "dim"))]

    def _resumed(self, data: Data) -> list[Text]:
        if self._own is not None:
            self._own = data["opencode_id"]  # it may have begun a new conversation
        return [Text("resumed", "bold")]

    def _prompted(self, data: Data) -> list[Text]:
        text = f"/{data['command']} {data['text']}" if data.get("command") else data["text"]
        return [Text(f"> {line}", "bold") for line in plain(text).strip().splitlines()]

    def _message(self, data: Data) -> list[Text]:
        self._roles[data["message_id"]] = data["role"]
        return []

    def _part(self, data: Data) -> list[Text]:
        body, part_id = data["body"], data["part_id"]
        if part_id in self._printed or self._roles.get(data["message_id"]) == "user":
            return []
        lines = lines_of_part(body)
        if lines:
            self._printed.add(part_id)
        if not self._is_own(data.get("opencode_id", "")):
            return [Text.assemble(("  | ", "dim"), line) for line in lines]
        growing = self._growing.pop(part_id, None)
        text = str(body.get("text", "")).rstrip()
        if growing is None or not growing.painted.strip():
            return lines
        if growing.painted.startswith(text):
            return []
        if not text.startswith(growing.painted):
            return lines
        rest = text.removeprefix(growing.painted)
        if self._open != part_id:  # other lines were printed in between
            return _words(rest, growing.style)
        self._console.print(Text(rest, growing.style), end="", soft_wrap=True)
        return []


class _Growing:
    """A part that is being written."""

    def __init__(self, style: str) -> None:
        self.style = style
        self.painted = ""


def lines_of_part(body: Data) -> list[Text]:
    """Return the lines of a finished part; none where there is nothing to show."""
    if body.get("type") == "tool":
        return [_tool(body)]
    style = _SAID.get(str(body.get("type")))
    return [] if style is None else _words(str(body.get("text", "")), style)


def _words(text: str, style: str) -> list[Text]:
    return [Text(line, style) for line in plain(text).strip().splitlines()]


def _tool(body: Data) -> Text:
    state: Data = body.get("state") or {}
    given: Data = state.get("input") or {}
    about = next((str(given[name]) for name in _ABOUT if given.get(name)), str(state.get("title") or ""))
    mark, style = _MARKS.get(str(state.get("status")), ("…", "yellow"))
    return Text.assemble(f"  {mark} ", (str(body.get("tool")), style), (f" {line_of(about)[:200]}", "dim"), style=style)


def _says(style: str, make: Callable[[Data], str]) -> "Callable[[StreamPrinter, Data], list[Text]]":
    return lambda _, data: [Text(line_of(make(data)), style)]


def question_of(question: Data) -> str:
    """Return a question with its choices, on one line."""
    choices: list[Data] = question.get("options") or []
    options = ", ".join(str(choice.get("label")) for choice in choices)
    return line_of(f"{question.get('question')} ({options})" if options else str(question.get("question")))


def _asked(data: Data) -> str:
    body = data["body"]
    if data["kind"] == "question":
        return f"? {' / '.join(map(question_of, body.get('questions', [])))} (`fleet answer`)"
    about = " ".join(map(str, (body.get("permission") or body.get("type") or "", *(body.get("patterns") or ()))))
    return f"? may it: {asked_of(about)} (`fleet answer`)"


def _changed(files: int, additions: int, deletions: int) -> str:
    return f"changed {counted(files, 'file', 'files')}, +{additions} -{deletions}"


_LINES: Final[Mapping[str, Callable[[StreamPrinter, Data], list[Text]]]] = {
    "session.created": StreamPrinter._created,
    "session.prompt-accepted": StreamPrinter._prompted,
    "session.message-recorded": StreamPrinter._message,
    "session.part-recorded": StreamPrinter._part,
    "session.turn-started": _says("dim", lambda data: f"turn {data['number']}"),
    "session.turn-ended": _says("bold green", lambda data: f"{data['outcome']}: {data['evidence']}"),
    "session.turn-failed": _says("bold red", lambda data: f"failed: {data['detail']}"),
    "session.changes-recorded": _says("dim", lambda data: _changed(**data["totals"])),
    "session.request-opened": _says("bold yellow", _asked),
    "session.request-answered": _says(
        "yellow", lambda data: f"answered: {data['answer'].get('reply') or 'a question'}"
    ),
    "session.setup-held": _says("bold yellow", lambda _: "? its set-up waits for you (`fleet trust --session`)"),
    "session.setup-started": _says("dim", lambda _: "its workspace is set up"),
    "session.setup-output": lambda _, data: _words(data["text"], "dim"),
    "session.setup-skipped": _says("yellow", lambda _: "its set-up is skipped"),
    "session.provision-delayed": _says("yellow", lambda data: f"waits: {data['reason']}"),
    "session.provision-failed": _says("bold red", lambda data: f"failed: {data['detail']}"),
    "session.turn-delayed": _says("yellow", lambda data: data["reason"] or "continues"),
    "session.abort-requested": _says("yellow", lambda _: "abort"),
    "session.resumed": StreamPrinter._resumed,
    "session.completed": _says("dim", lambda data: f"completed: {data['evidence']}"),
    "session.stopped": _says("bold", lambda data: f"stopped: {data['evidence']}"),
    "session.disconnected": _says("bold magenta", lambda data: f"disconnected: {data['evidence']}"),
    "session.erased": _says("bold", lambda _: "erased"),
    "session.budget-exceeded": _says("bold yellow", lambda data: f"budget: {data['what']}"),
    "session.callback-delivered": _says("dim", lambda _: "its parent was notified"),
    "session.callback-undelivered": _says("yellow", lambda data: f"its parent could not be notified: {data['reason']}"),
    "instance.ready": _says("dim", lambda _: "OpenCode is ready"),
    "instance.lost": _says("magenta", lambda data: f"OpenCode is gone: {data.get('evidence', '')}"),
}
