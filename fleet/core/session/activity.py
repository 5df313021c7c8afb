"""The activity line of a session: its newest text, tool call, request or prompt, cut to one short line.

The texts come from OpenCode's JSON. JSON that cannot be decoded gives no activity and never an error.
"""

from typing import Any, Final, Literal

import msgspec

from fleet.limits import HEAD_CHARS

Kind = Literal["text", "reasoning", "tool", "request", "prompt"]


SHOWN: Final = frozenset(("tool", "text", "reasoning"))
"""The types of parts that can show an activity."""


class Activity(msgspec.Struct, frozen=True):
    """A line of at most `HEAD_CHARS` characters. `tool` names the tool of a call or of a permission request.

    `at_ms` is when it began, where OpenCode says so, else when it was recorded.
    """

    kind: Kind
    text: str
    at_ms: int
    tool: str | None = None


def head(text: str) -> str:
    """Return the first `HEAD_CHARS` characters of a text on one line, with one space between words."""
    start = text[:HEAD_CHARS]
    # Most texts begin with a line that is fine as it is; the general way is ten times slower, and replays pay for it.
    if start.isprintable() and "  " not in start and start[:1] != " ":
        if start[-1:] != " " or text[HEAD_CHARS : HEAD_CHARS + 1].strip():
            return start
        if len(text) == len(start):
            return start[:-1]
    return " ".join(text[: 4 * HEAD_CHARS].split())[:HEAD_CHARS]


def last_line(text: str) -> str:
    """Return the beginning of a text's last line that is not blank."""
    return head(text.rstrip().rpartition("\n")[2])


def prompt_words(text: str, command: str | None) -> str:
    """Return a prompt as a person writes it: a command's name, then its arguments."""
    return text if command is None else f"/{command} {text}"


class _ToolTime(msgspec.Struct):
    start: float | None = None


class _ToolInput(msgspec.Struct, frozen=True):
    """The inputs that say in a line what a tool was asked to do. Other inputs are not read; they can be long."""

    command: Any = None
    filePath: Any = None  # noqa: N815 - OpenCode's spelling
    pattern: Any = None
    url: Any = None
    query: Any = None
    description: Any = None
    path: Any = None


class _ToolState(msgspec.Struct):
    title: Any = None
    input: _ToolInput = _ToolInput()
    time: _ToolTime | None = None


class _Part(msgspec.Struct):
    type: str
    tool: str | None = None
    text: str | None = None
    synthetic: bool = False
    state: _ToolState | None = None
    time: _ToolTime | None = None


_decode_part: Final = msgspec.json.Decoder(_Part).decode


def of_part(body: msgspec.Raw | bytes, at_ms: int) -> Activity | None:
    """Return the activity that a part of an answer shows, if any; `at_ms` is used where the part has no time."""
    try:
        part = _decode_part(body)
    except msgspec.DecodeError:
        return None
    if part.type == "tool":
        state = part.state or _ToolState()
        return Activity("tool", _call(state), _began_ms(state.time, at_ms), part.tool)
    if part.type not in SHOWN or part.synthetic:
        return None
    line = last_line(part.text or "")
    kind: Kind = "text" if part.type == "text" else "reasoning"
    return Activity(kind, line, _began_ms(part.time, at_ms)) if line else None


def _began_ms(time: _ToolTime | None, at_ms: int) -> int:
    return at_ms if time is None or time.start is None else int(min(max(time.start, 0), at_ms))


def _call(state: _ToolState) -> str:
    """Return what a tool was asked to do: its command, else its title, else its first input with text."""
    of = state.input
    for text in (of.command, state.title, of.filePath, of.pattern, of.url, of.query, of.description, of.path):
        if text and isinstance(text, str):
            return head(text)
    return ""


class _Question(msgspec.Struct):
    question: str = ""


class _Metadata(msgspec.Struct):
    command: object = None


class _Request(msgspec.Struct):
    permission: str | None = None
    type: str | None = None
    title: str | None = None
    patterns: list[str] = []
    metadata: _Metadata | None = None
    questions: list[_Question] = []


_decode_request: Final = msgspec.json.Decoder(_Request).decode


def of_request(body: bytes, at_ms: int) -> Activity:
    """Return what a permission request or a question asks for. For a command it is the whole command.

    OpenCode's patterns are its single commands; they do not show whether a pipe or `&&` joins them.
    """
    try:
        request = _decode_request(body)
    except msgspec.DecodeError:
        return Activity("request", "", at_ms)
    questions = [question.question for question in request.questions]
    command = request.metadata.command if request.metadata is not None else None
    asked = command if isinstance(command, str) else "; ".join(questions or request.patterns) or request.title or ""
    return Activity("request", head(asked), at_ms, request.permission or request.type)
