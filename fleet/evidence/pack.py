"""Makes the files of an evidence pack, one after another, from the log and the blob store.

`events.jsonl` has a line for each event from the session's first to its last. Lines of the session itself are lines of
an export (fleet/events/export.py). Of all other events only the header is given, which keeps the chain of digests
verifiable: no payload of another session ever is in a pack.
"""

import base64
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib.resources import files
from typing import NamedTuple

import msgspec
import trio
from msgspec.structs import replace

from fleet.core.manifest import Manifest, decode_manifest
from fleet.core.session.decide import SESSION
from fleet.core.trust import TRUST, TRUST_ID, RecipeAllowed
from fleet.errors import Rejected
from fleet.events import codec
from fleet.events.blobs import Blobs
from fleet.events.export import export_line
from fleet.events.log import Log
from fleet.evidence import document as doc
from fleet.evidence.gather import Gathering, Made, act_of
from fleet.evidence.page import render
from fleet.limits import EXPORT_PAGE_BYTES, EXPORT_PAGE_EVENTS, FEED_PAGE_BYTES, FEED_PAGE_EVENTS
from fleet.patches import patch_of
from fleet.wire.audit import SignedHead


class Relatives(NamedTuple):
    """Other sessions that the document names. The pack has no more of them than this."""

    parent: doc.RelatedSession | None = None
    origin: doc.RelatedSession | None = None
    children: Sequence[doc.RelatedSession] = ()


class HeaderLine(msgspec.Struct, frozen=True, kw_only=True):
    """An event whose payload is not part of the pack: its header alone."""

    position: int
    withheld: bool = True
    header: str


class ProofFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`proof.json`: the signed digest of the last event. `head` is None where there is no key."""

    session_id: str
    first: int
    last: int
    digest: str
    head: SignedHead | None


async def pack_files(
    log: Log, blobs: Blobs, session_id: str, relatives: Relatives, made: Made
) -> AsyncGenerator[tuple[str, bytes]]:
    """Yield the files as (name, bytes); a large file comes in several pieces, one after another.

    Raises `Rejected` session_not_found for a session that has no events, or erased ones.
    """
    stream = f"{SESSION.kind}-{session_id}"
    found = await _gathered(log, stream, session_id)
    own = found.positions
    manifest, stored = _manifest(blobs, found.gathering)
    document = found.gathering.document(
        manifest,
        await _trusted(log, found.gathering.state.source_repository),
        (relatives.parent, relatives.origin),
        relatives.children,
        made,
    )
    async with aclosing(_event_lines(log, own)) as pages:
        async for lines in pages:
            yield "events.jsonl", lines
    head, digest = log.sign(own[-1]), _digest(log, own[-1])
    proof = doc.PackProof(first=own[0], last=own[-1], own_events=len(own), digest=digest, signed=head is not None)
    document = replace(document, proof=proof)
    proof_file = ProofFile(session_id=session_id, first=own[0], last=own[-1], digest=digest, head=head)
    yield "proof.json", msgspec.json.format(msgspec.json.encode(proof_file), indent=2) + b"\n"
    yield "pack.json", msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    yield "manifest.json", stored
    patches = await trio.to_thread.run_sync(_patches, blobs, manifest)
    yield "changes.patch", b"".join(patches)
    yield "index.html", (await trio.to_thread.run_sync(render, document, manifest, patches)).encode()
    for name in ("verify.py", "VERIFY.md"):
        yield name, (files("fleet.evidence.standalone") / name).read_bytes()


class _Gathered(NamedTuple):
    gathering: Gathering
    positions: list[int]


async def _gathered(log: Log, stream: str, session_id: str) -> _Gathered:
    gathering, positions = Gathering(session_id), [0]
    if not log.stream_version(stream) or log.is_erased(stream):
        raise Rejected("session_not_found", f"there is no session {session_id}, or it was erased")
    while page := log.read_stream(stream, positions[-1], FEED_PAGE_EVENTS, FEED_PAGE_BYTES):
        for recorded in page:
            gathering.apply(recorded)
            positions.append(recorded.position)
        await trio.lowlevel.checkpoint()
    return _Gathered(gathering, positions[1:])


async def _trusted(log: Log, repository: str | None) -> dict[str, doc.Act]:
    """Return who allowed which set-up in this repository, by its digest."""
    stream, position = f"{TRUST.kind}-{TRUST_ID}", 0
    found: dict[str, doc.Act] = {}
    while page := log.read_stream(stream, position, FEED_PAGE_EVENTS, FEED_PAGE_BYTES):
        for recorded in page:
            event, position = recorded.event, recorded.position
            if isinstance(event, RecipeAllowed) and event.repository == repository:
                found[event.recipe.digest] = act_of(recorded, event.actor)
        await trio.lowlevel.checkpoint()
    return found


def _manifest(blobs: Blobs, gathering: Gathering) -> tuple[Manifest, bytes]:
    """Return the list of changed files, and its bytes as they were stored."""
    empty = Manifest()
    if gathering.changes is None:
        return empty, msgspec.json.encode(empty)
    stored = blobs.get(gathering.changes[1].session_manifest)
    return (empty, msgspec.json.encode(empty)) if stored is None else (decode_manifest(stored), stored)


async def _event_lines(log: Log, own: Sequence[int]) -> AsyncGenerator[bytes]:
    """Yield pages of lines. Raises `CorruptRecord` where the log is damaged."""
    mine = set(own)
    lines: list[bytes] = []
    size_bytes = 0
    for position in range(own[0], own[-1] + 1):
        raw = _record(log, position)
        lines.append(export_line(raw) if position in mine else _header_line(position, codec.header_bytes(raw)))
        size_bytes += len(lines[-1])
        if size_bytes >= EXPORT_PAGE_BYTES or len(lines) >= EXPORT_PAGE_EVENTS:
            yield b"".join(lines)
            lines, size_bytes = [], 0
            await trio.lowlevel.checkpoint()
    yield b"".join(lines)


def _record(log: Log, position: int) -> bytes:
    raw = log.read_record(position)
    if raw is None:
        raise codec.CorruptRecord(f"event {position} is missing")
    return raw


def _digest(log: Log, position: int) -> str:
    return codec.decode(_record(log, position)).digest.hex()


def _header_line(position: int, head: bytes) -> bytes:
    line = HeaderLine(position=position, header=base64.b64encode(head).decode())
    return msgspec.json.encode(line) + b"\n"


def _patches(blobs: Blobs, manifest: Manifest) -> list[bytes]:
    """Return the patch of each file; of one that has no text a comment, which `git apply` skips."""
    found: list[bytes] = []
    for file in manifest.files:
        if file.is_binary or file.is_truncated:
            why = "is binary" if file.is_binary else "is too large, so its contents are not all recorded"
            found.append(f"# {file.file!r} {why}\n".encode("utf-8", "backslashreplace"))
            continue
        sides = [None if digest is None else blobs.get(digest) for digest in (file.before, file.after)]
        found.append(patch_of(file, sides[0] or b"", sides[1] or b""))
    return found
