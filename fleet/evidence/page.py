"""Renders `index.html` of an evidence pack: a page without script, which loads nothing and can be printed.

Everything in it is the text of people and agents, so all of it is hostile. Each value is escaped for HTML when it is
put into the page, control characters and direction marks are shown as escapes, and the page's own policy allows no
source but its one style sheet.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple, cast

import jinja2
import trio

from fleet.core.manifest import ChangedFile
from fleet.escape import plain
from fleet.evidence import document as doc
from fleet.limits import PACK_ITEMS_SLICE, PACK_PATCH_LINES_MAX, PACK_STEPS_MAX

_KINDS: Final = (("+", "add"), ("-", "del"), ("@@", "hunk"))
_OPEN_LINES: Final = 24  # of an output or a diff that is shown without a click


class Step(NamedTuple):
    """An entry of a turn; `item` is the entry of the document."""

    kind: str
    item: Any


class Line(NamedTuple):
    """A line of a diff."""

    kind: str
    text: str


class Diff(NamedTuple):
    """The diff of one file as the page shows it. `left_out` counts the lines that only the patch has."""

    file: ChangedFile
    lines: list[Line]
    left_out: int
    note: str


class Commands(NamedTuple):
    """How many commands ran, and how many of them failed."""

    ran: int
    failed: int


class Steps(NamedTuple):
    """What the page shows of the turns: its first entries by turn, in the order of the log, and what it leaves out."""

    by_turn: Mapping[int, Sequence[Step]]
    shown: int
    left_out: int
    commands: Commands


def render(document: doc.PackDocument, steps: Steps, diffs: Sequence[Diff], people: Mapping[str, str]) -> Iterator[str]:
    """Return the page in pieces. `diffs` are those of the manifest's files, in order; `people` has actors in words."""
    style = _resource("page.css")
    return _template().generate(
        document=document,
        people=people,
        steps=steps,
        diffs=diffs,
        # The policy takes the digest of the style sheet as it is in the page.
        style=style,
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        open_lines=_OPEN_LINES,
    )


async def steps_of(document: doc.PackDocument) -> Steps:
    """Return the first steps of the document, as many as a browser still opens."""
    first = _FirstSteps()
    for number, step in enumerate(_all_steps(document)):
        first.add(step)
        if number % PACK_ITEMS_SLICE == 0:
            await trio.lowlevel.checkpoint()
    return first.taken()


def _all_steps(document: doc.PackDocument) -> Iterator[Step]:
    """Yield all steps; those of one kind are in the order in which they began."""
    for message in document.messages:
        yield Step("message", message)
    for call in document.calls:
        yield Step("command" if call.command is not None else "call", call)
    for decision in document.decisions:
        yield Step("decision", decision)
    for question in document.questions:
        yield Step("question", question)


class _FirstSteps:
    """Keeps the first steps in the order of the log; more than that are dropped again, so memory has a bound."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._count = 0
        self._commands = 0
        self._failed = 0

    def add(self, step: Step) -> None:
        self._count += 1
        if step.kind == "command":
            self._commands += 1
            self._failed += bool(step.item.exit_code)
        self._steps.append(step)
        if len(self._steps) >= 2 * PACK_STEPS_MAX:
            self._cut()

    def taken(self) -> Steps:
        self._cut()
        by_turn: dict[int, list[Step]] = {}
        for step in self._steps:
            by_turn.setdefault(step.item.turn, []).append(step)
        shown = len(self._steps)
        return Steps(by_turn, shown, self._count - shown, Commands(self._commands, self._failed))

    def _cut(self) -> None:
        self._steps.sort(key=lambda step: step.item.position)
        del self._steps[PACK_STEPS_MAX:]


def diff_of(file: ChangedFile, patch: bytes, lines_max: int = PACK_PATCH_LINES_MAX) -> Diff:
    """Return the diff of a file as the page shows it, with at most so many lines."""
    if file.is_binary or file.is_truncated:
        return Diff(file, [], 0, "A binary file." if file.is_binary else "Too large: not all of it is recorded.")
    lines = list(_lines(patch.decode("utf-8", "replace").split("\n")[:-1]))
    shown = lines[: min(lines_max, PACK_PATCH_LINES_MAX)]
    return Diff(file, shown, len(lines) - len(shown), "" if lines else "Only its name or mode changed.")


def _lines(patch: Sequence[str]) -> Iterator[Line]:
    """Yield the lines of the hunks, without the head, which the page shows in its own way."""
    in_hunks = False
    for text in patch:
        in_hunks = in_hunks or text.startswith("@@")
        if in_hunks:
            yield Line(next((kind for sign, kind in _KINDS if text.startswith(sign)), "same"), text)


def _when(time: str | None) -> str:
    """Return an RFC 3339 time for a person, in UTC."""
    return "" if time is None else f"{time[:10]} {time[11:19]} UTC"


def _clock(time: str | None) -> str:
    """Return the time of day."""
    return "" if time is None else time[11:19]


def _count_lines(text: str) -> int:
    return text.count("\n") + 1


def _shown(value: Any) -> Any:
    """Make control characters and direction marks of a text visible."""
    return plain(value) if type(value) is str else value


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.filters["when"] = _when
    environment.filters["clock"] = _clock
    environment.filters["usd"] = "${:.4f}".format
    environment.filters["count"] = "{:,}".format
    environment.filters["lines"] = cast("Any", _count_lines)
    return environment.from_string(_resource("page.html"))


def _resource(name: str) -> str:
    return (files("fleet.evidence") / name).read_text("utf-8")
