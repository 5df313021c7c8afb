"""Escapes text for a terminal, so that the text of agents, repositories and other programs cannot control it.

All text of others that the `fleet` command prints is escaped here: control characters, and those that turn the
direction of writing, are shown as escapes (`\\x1b`), so that a reader sees that they are there.
"""

import re
from typing import Final

_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]|[\ud800-\udfff]"
)


def plain(text: str) -> str:
    """Return `text` with control characters, direction marks and lone surrogates escaped; tabs and line ends stay."""
    return _CONTROLS.sub(lambda control: control[0].encode("unicode_escape").decode(), text)
