"""The routes for files in messages: attachments of a prompt, and files that a tool gave to the agent.

OpenCode holds them as `data:` URLs. Their bytes are hostile, and so is the type that they name. Fleet believes it only
for a few kinds of images, which browsers do not run; it sends everything else as a download without a type, sandboxed.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, unquote_to_bytes

import msgspec
import trio
from quart import Response

from fleet.actors.fleet import Fleet
from fleet.core.session.state import State as Session
from fleet.errors import Rejected
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import download
from fleet.limits import ATTACHED_NAME_CHARS_MAX, ATTACHED_STEP_CHARS, ATTACHED_STEP_ESCAPED

SHOWN: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""Shown in place. SVG is not among them: it is a document with scripts."""
_BYTES: Final = "application/octet-stream"
_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"


class _File(msgspec.Struct, frozen=True):
    """A part of the type `file`, or an attachment of a tool's result."""

    id: str = ""
    mime: str = ""
    url: str = ""
    filename: str | None = None


class _State(msgspec.Struct, frozen=True):
    attachments: list[_File] = []


class _Holder(_File, frozen=True):
    """Any part."""

    state: _State = _State()


_holder = msgspec.json.Decoder(_Holder)


endpoint = Endpoints("/api/sessions/<session_id>", "sessions")


@endpoint(
    "GET /parts/<part_id>/content", gives=download(*SHOWN, _BYTES), refuses=("part_not_found", "content_not_found")
)
async def read_part_content(fleet: Fleet, session: Session, part_id: str) -> Response:
    """Read the file in a part, or an attachment of a tool's result.

    PNG, JPEG, GIF and WebP have their media type; everything else is a download without one.
    """
    file = await _find(fleet, session, part_id)
    content = await _content(file.url)
    if content is None:
        raise Rejected("content_not_found", f"the part {part_id} contains no file")
    return _file(file, content)


async def _find(fleet: Fleet, state: Session, part_id: str) -> _File:
    stream = fleet.views.sessions.stream(state.id)
    part = await fleet.transcripts.part(stream, part_id)
    if part is not None:
        return _read(part)
    holder = await fleet.transcripts.part_with(stream, part_id)
    found = () if holder is None else (each for each in _read(holder).state.attachments if each.id == part_id)
    for file in found:
        return file
    raise Rejected("part_not_found", f"session {state.id} has no part {part_id}")


def _read(part: msgspec.Raw) -> _Holder:
    """Return the part, an empty one where it has another shape."""
    try:
        return _holder.decode(part)
    except msgspec.MsgspecError:
        return _Holder()


async def _content(url: str) -> bytes | None:
    """Return the bytes of a `data:` URL, None for another URL and for one that is broken."""
    scheme, comma, encoded = url.partition(",")
    if not scheme.startswith("data:") or not comma:
        return None
    decoded = _from_base64(encoded) if scheme.endswith(";base64") else _from_escapes(encoded)
    pieces: list[bytes] = []
    try:
        for piece in decoded:
            pieces.append(piece)
            await trio.lowlevel.checkpoint()  # other tasks run between two pieces
    except (binascii.Error, ValueError):
        return None
    return b"".join(pieces)


def _from_base64(encoded: str) -> Iterator[bytes]:
    """Yield the bytes, a piece at a time. Raises `ValueError`."""
    for start in range(0, len(encoded), ATTACHED_STEP_CHARS):
        yield base64.b64decode(encoded[start : start + ATTACHED_STEP_CHARS], validate=True)


def _from_escapes(encoded: str) -> Iterator[bytes]:
    """Yield the bytes, a piece at a time; no escape is cut in two."""
    start = 0
    while start < len(encoded):
        end = start + ATTACHED_STEP_ESCAPED
        escape = encoded.rfind("%", end - 2, end)
        end = end if escape < 0 else escape
        yield unquote_to_bytes(encoded[start:end])
        start = end


def _file(file: _File, content: bytes) -> Response:
    shown = file.mime in SHOWN
    response = Response(content, 200, content_type=file.mime if shown else _BYTES)
    response.headers["Content-Disposition"] = f"{'inline' if shown else 'attachment'}{_name(file)}"
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def _name(file: _File) -> str:
    """Return the file's name as a parameter (RFC 6266), without the directories that a name may come with."""
    name = (file.filename or "").replace("\\", "/").rpartition("/")[2][:ATTACHED_NAME_CHARS_MAX]
    quoted = quote(name.encode("utf-8", "replace"), safe="")
    return f"; filename*=UTF-8''{quoted}" if quoted else ""
