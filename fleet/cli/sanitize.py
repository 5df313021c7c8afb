"""Makes agents' text safe for a terminal: only Fleet's own output moves the cursor or sets colours.

Escape sequences are taken out, other control characters are shown (fleet/escape.py), and so are marks that change the
direction of writing, with which a line can be made to read otherwise than it is. Where a person is asked to allow
something, sequences are shown as well. `SafeConsole` does this to everything that it prints.
"""

import codecs
import json
import re
import sys
from collections.abc import Iterable
from typing import IO, Any, Final

import msgspec
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from fleet.escape import plain as shown

_SEQUENCE: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, modes
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # OSC: titles, links, the clipboard
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c]*(?:\x1b\\|\x9c)"  # DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"  # the others
)
_BEYOND_JSON: Final = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_BEYOND_ASCII: Final = re.compile(r"[\x7f-\U0010ffff]")


def plain(text: str) -> str:
    """Return the text without escape sequences; line ends and tabs stay, other control characters become visible."""
    return shown(_SEQUENCE.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))


def line_of(text: str) -> str:
    """Return the same on one line."""
    return " ".join(plain(text).split())


def asked_of(text: str) -> str:
    """Return a command for a person to allow, on one line: nothing is removed, because all of it would run."""
    return " ".join(shown(text).split())


class SafeConsole(Console):
    """A console that escapes what it prints. In a pipe or a file, lines are as long as they are."""

    def __init__(self, file: IO[str] | None = None, **more: Any) -> None:
        out = sys.stdout if file is None else file
        width = None if out.isatty() else 10_000
        super().__init__(file=file, highlight=False, markup=False, emoji=False, width=width, **more)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of the renderable, their text plain."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(plain(text), style)

    def on_broken_pipe(self) -> None:
        """Let connect.py end the command."""
        raise BrokenPipeError


def json_of(value: Any, *, lines: bool = False) -> str:
    """Return the value as JSON, indented or in one line; what a terminal might obey is escaped.

    So is what standard output has no signs for.
    """
    encoded = msgspec.json.encode(value)
    text = (encoded if lines else msgspec.json.format(encoded, indent=2)).decode()
    risky = _BEYOND_JSON if codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8" else _BEYOND_ASCII
    return risky.sub(lambda found: json.dumps(found.group())[1:-1], text)
