"""Says which tool calls may have changed files of the directory."""

from typing import Final

from fleet.core.session.activity import of_part
from fleet.ports import Part

_READING: Final = frozenset(
    [
        "codesearch",
        "glob",
        "grep",
        "list",
        "lsp",
        "question",
        "read",
        "skill",
        "todoread",
        "todowrite",
        "webfetch",
        "websearch",
    ]
)
"""OpenCode's tools that write no file. Any other tool may, also one of an MCP server."""


def writing_tool(part: Part) -> str | None:
    """Return the tool of a call that has ended and may have written, failed or not; None for any other part."""
    if part.type != "tool" or not part.finished:
        return None
    call = of_part(part.raw, 0)
    return None if call is None or call.tool in _READING else call.tool
