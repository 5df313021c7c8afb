"""Describes the tool calls of a session."""

from typing import Final

import msgspec

from fleet.core.times import rfc3339
from fleet.evidence import document as doc
from fleet.evidence.bodies import PartBody, cut

COMMAND_TOOLS: Final = frozenset(("bash", "shell"))


class NewestPart(msgspec.Struct):
    """A part in its newest version, and where it was recorded last; without its body, which may be large."""

    kind: str
    message_id: str
    conversation: str
    turn: int
    at: str
    position: int


def call_of(part: NewestPart, body: PartBody, subagent: str | None, allowed: str) -> doc.PackedCall:
    """Return a tool call; `allowed` says in a sentence why it could run."""
    state = body.state
    output, is_cut = cut(state.result())
    title = state.title if isinstance(state.title, str) else ""
    others = (state.words(name) for name in ("filePath", "pattern", "url", "query", "description", "path"))
    return doc.PackedCall(
        call_id=body.callID,
        tool=body.tool,
        title=title or next(filter(None, others), ""),
        command=state.words("command") if body.tool in COMMAND_TOOLS else None,
        status=state.status,
        exit_code=state.exit_code,
        output=output,
        output_bytes=len(state.result().encode("utf-8", "replace")),
        output_cut=is_cut or state.metadata.get("truncated") is True,
        started_at=_time(state.time.start),
        ended_at=_time(state.time.end),
        position=part.position,
        turn=part.turn,
        subagent=subagent,
        allowed=allowed,
    )


def _time(unix_ms: float | None) -> str | None:
    try:
        return None if unix_ms is None else rfc3339(int(unix_ms))
    except (ValueError, OverflowError):
        return None
