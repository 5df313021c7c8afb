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

from fleet.core.manifest import ChangedFile, Manifest
from fleet.escape import plain
from fleet.evidence import document as doc
from fleet.limits import PACK_PATCH_LINES_MAX, PACK_STEPS_MAX

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


def render(document: doc.PackDocument, manifest: Manifest, patches: Sequence[bytes], people: Mapping[str, str]) -> str:
    """Return the page. `patches` are those of the manifest's files, in order; `people` has actors in words."""
    steps, left_out = _steps(document)
    style = _resource("page.css")
    return _template().render(
        document=document,
        people=people,
        steps=steps,
        left_out=left_out,
        diffs=[_diff(*each) for each in zip(manifest.files, patches, strict=True)],
        # The policy takes the digest of the style sheet as it is in the page.
        style=style,
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        commands=[each for each in document.calls if each.command is not None],
        open_lines=_OPEN_LINES,
    )


def _steps(document: doc.PackDocument) -> tuple[dict[int, list[Step]], int]:
    """Return the entries of each turn in the order of the log, and how many are left out."""
    found = [
        *(Step("message", each) for each in document.messages),
        *(Step("command" if each.command is not None else "call", each) for each in document.calls),
        *(Step("decision", each) for each in document.decisions),
        *(Step("question", each) for each in document.questions),
    ]
    found.sort(key=lambda step: step.item.position)
    by_turn: dict[int, list[Step]] = {}
    for step in found[:PACK_STEPS_MAX]:
        by_turn.setdefault(step.item.turn, []).append(step)
    return by_turn, max(0, len(found) - PACK_STEPS_MAX)


def _diff(file: ChangedFile, patch: bytes) -> Diff:
    if file.is_binary or file.is_truncated:
        return Diff(file, [], 0, "A binary file." if file.is_binary else "Too large: not all of it is recorded.")
    lines = list(_lines(patch.decode("utf-8", "replace").split("\n")[:-1]))
    shown = lines[:PACK_PATCH_LINES_MAX]
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
