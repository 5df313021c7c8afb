"""Makes the files of an evidence pack, one after another, from the log and the blob store.

`events.jsonl` has a line for each event from the session's first to its last. Lines of the session itself are lines of
an export (fleet/events/export.py). Of all other events only the header is given, which keeps the chain of digests
verifiable: no payload of another session ever is in a pack.
"""

import base64
from array import array
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from importlib.resources import files
from itertools import islice
from typing import cast

import msgspec
import trio
from msgspec.structs import replace

from fleet.core.instance.events import PermissionRulesRead
from fleet.core.manifest import ChangedFile, Manifest, decode_manifest, encode_manifest
from fleet.core.session.decide import SESSION
from fleet.core.session.state import State
from fleet.core.trust import TRUST, TRUST_ID, RecipeAllowed
from fleet.errors import Rejected
from fleet.events import codec
from fleet.events.blobs import Blobs
from fleet.events.envelope import Damaged, Erased, Recorded
from fleet.events.export import export_line
from fleet.events.log import LogReader
from fleet.events.replacements import proof_in
from fleet.evidence import document as doc
from fleet.evidence.gather import Gathering, act_of
from fleet.evidence.page import Diff, diff_of, render, steps_of
from fleet.limits import (
    EVIDENCE_PAGE_EVENTS,
    EXPORT_PAGE_BYTES,
    EXPORT_PAGE_EVENTS,
    FEED_PAGE_BYTES,
    PACK_DIFF_LINES_MAX,
    PACK_ITEMS_SLICE,
    PACK_PAGE_SLICE,
)
from fleet.patches import patch_of
from fleet.projections.configured_rules import RULES_READ
from fleet.projections.names import naming, stream_of, who
from fleet.wire.audit import SignedHead


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
    log: LogReader, blobs: Blobs | None, session_id: str, relate: Callable[[State], doc.Relatives], made: doc.Made
) -> AsyncGenerator[tuple[str, bytes]]:
    """Yield the files as (name, bytes); a large file comes in several pieces, one after another.

    Without `blobs`, as in an export, the changed files are not part of it. `relate` finds the relatives of the session.
    Raises `Rejected` session_not_found for a session that has no events, or erased ones.
    """
    gathering, own = await _gathered(log, f"{SESSION.kind}-{session_id}", session_id)
    trusted = await _trusted(log, gathering.state.source_repository)
    gathering.rules = await _rules(log, gathering.people)
    for actor in (made.by, *(act.actor for act in trusted.values())):
        gathering.person(actor)
    stored = _manifest(blobs, gathering)
    manifest = Manifest() if stored is None else decode_manifest(stored)
    relatives = relate(gathering.state)
    document = await trio.to_thread.run_sync(gathering.document, manifest, trusted, relatives, made)
    last, head = _head(log, own[-1])
    async with aclosing(_event_lines(log, own, last)) as pages:
        async for lines in pages:
            yield "events.jsonl", lines
    digest = codec.decode(_record(log, last)).digest.hex()
    key = None if head is None else head.key
    proof = doc.PackProof(first=own[0], last=last, own_events=len(own), digest=digest, key=key)
    document = replace(document, proof=proof)
    proof_file = ProofFile(session_id=session_id, first=own[0], last=last, digest=digest, head=head)
    yield "proof.json", msgspec.json.format(msgspec.json.encode(proof_file), indent=2) + b"\n"
    for lines in _document_lines(document):
        yield "pack.json", lines
        await trio.lowlevel.checkpoint()
    if stored is not None:
        yield "manifest.json", stored
    diffs: list[Diff] = []
    lines_left = PACK_DIFF_LINES_MAX
    yield "changes.patch", b""
    if blobs is not None:
        for file in manifest.files:
            patch = await trio.to_thread.run_sync(_patch, blobs, file)
            yield "changes.patch", patch
            diffs.append(diff_of(file, patch, lines_left))
            lines_left -= len(diffs[-1].lines)
    page = render(document, await steps_of(document), diffs, gathering.people)
    while piece := await trio.to_thread.run_sync(_joined, page):
        yield "index.html", piece
    for name in ("verify.py", "VERIFY.md"):
        yield name, (files("fleet.evidence.standalone") / name).read_bytes()


def _joined(page: Iterator[str]) -> bytes:
    """Return the next pieces of the page, empty at its end."""
    return "".join(islice(page, PACK_PAGE_SLICE)).encode()


def _document_lines(document: doc.PackDocument) -> Iterator[bytes]:
    """Yield the document as JSON in pieces, with a line for each field and each item of a list."""
    begin = b"{"
    for name, field in zip(document.__struct_encode_fields__, document.__struct_fields__, strict=True):
        value: object = getattr(document, field)
        yield begin + b"\n" + msgspec.json.encode(name) + b": "
        begin = b","
        if not isinstance(value, tuple | doc.PackedItems):
            yield msgspec.json.encode(value)
            continue
        members = iter(cast("Iterable[object]", value))
        mark = b"["
        while items := b",\n".join(map(msgspec.json.encode, islice(members, PACK_ITEMS_SLICE))):
            yield mark + b"\n" + items
            mark = b","
        yield b"[]" if mark == b"[" else b"]"
    yield b"\n}\n"


def _head(log: LogReader, position: int) -> tuple[int, SignedHead | None]:
    """Return where the proof ends, with the signed head: at this position, or at the end of a log that is only read."""
    if (head := log.sign(position)) is not None:
        return position, head
    stored = log.heads().last
    return (position, None) if stored is None or stored.position < position else (stored.position, stored)


async def _gathered(log: LogReader, stream: str, session_id: str) -> tuple[Gathering, "array[int]"]:
    """Return the session's events as they are gathered, and their positions."""
    name = naming(log)
    gathering = Gathering(
        session_id, lambda actor: who(actor, _named(name, actor)), lambda at: log.read_all(at - 1, 1)[0]
    )
    positions = array("Q", [0])
    if not log.stream_version(stream) or log.is_erased(stream):
        raise _absent(session_id)
    while page := log.read_stream(stream, positions[-1], EVIDENCE_PAGE_EVENTS, FEED_PAGE_BYTES):
        for recorded in page:
            if isinstance(recorded.event, Damaged):
                raise codec.CorruptRecord(f"event {recorded.position} cannot be read: {recorded.event.reason}")
            if isinstance(recorded.event, Erased):
                raise _absent(session_id)
            gathering.apply(recorded)
            positions.append(recorded.position)
        await trio.lowlevel.checkpoint()
    return gathering, positions[1:]


def _absent(session_id: str) -> Rejected:
    return Rejected(
        "session_not_found",
        f"there is no session {session_id}, or data of it was erased or taken out of the export",
    )


def _named(name: Callable[[str], str], actor: str) -> dict[str, str]:
    stream = stream_of(actor)
    return {} if stream is None else {stream: name(stream)}


async def _trusted(log: LogReader, repository: str | None) -> dict[str, doc.Act]:
    """Return who allowed which set-up in this repository, by its digest."""
    stream, position = f"{TRUST.kind}-{TRUST_ID}", 0
    found: dict[str, doc.Act] = {}
    while page := log.read_stream(stream, position, EVIDENCE_PAGE_EVENTS, FEED_PAGE_BYTES):
        for recorded in page:
            event, position = recorded.event, recorded.position
            if isinstance(event, RecipeAllowed) and event.repository == repository:
                found[event.recipe.digest] = act_of(recorded, event.actor)
        await trio.lowlevel.checkpoint()
    return found


async def _rules(log: LogReader, actors: Iterable[str]) -> list[Recorded]:
    """Return the permission rules that the processes among these actors have read, oldest first."""
    found: list[Recorded] = []
    for stream in filter(None, map(stream_of, [actor for actor in actors if actor.startswith("instance:")])):
        after, end = 0, log.head() + 1
        while page := log.stream_positions(stream, after, end, EVIDENCE_PAGE_EVENTS, newest_first=False):
            named = [each.position for each in log.read_headers(page) if each.type == RULES_READ]
            found += (each for each in log.read_events(named) if isinstance(each.event, PermissionRulesRead))
            after = page[-1]
            await trio.lowlevel.checkpoint()
    return sorted(found, key=lambda each: each.position)


def _manifest(blobs: Blobs | None, gathering: Gathering) -> bytes | None:
    """Return the list of changed files as it was stored; None where it is not there."""
    if gathering.changes is None:
        return encode_manifest(Manifest())
    return None if blobs is None else blobs.get(gathering.changes[1].session_manifest)


async def _event_lines(log: LogReader, own: Sequence[int], last: int) -> AsyncGenerator[bytes]:
    """Yield pages of lines. Raises `CorruptRecord` where the log is damaged."""
    mine, prove = iter(own), proof_in(log.read_record)
    next_own = next(mine)
    lines: list[bytes] = []
    size_bytes = 0
    for position in range(own[0], last + 1):
        raw = _record(log, position)
        if position == next_own:
            lines.append(export_line(raw, prove))
            next_own = next(mine, 0)
        else:
            lines.append(_header_line(position, codec.header_bytes(raw)))
        size_bytes += len(lines[-1])
        if size_bytes >= EXPORT_PAGE_BYTES or len(lines) >= EXPORT_PAGE_EVENTS:
            yield b"".join(lines)
            lines, size_bytes = [], 0
            await trio.lowlevel.checkpoint()
    yield b"".join(lines)


def _record(log: LogReader, position: int) -> bytes:
    raw = log.read_record(position)
    if raw is None:
        raise codec.CorruptRecord(f"event {position} is missing")
    return raw


def _header_line(position: int, head: bytes) -> bytes:
    line = HeaderLine(position=position, header=base64.b64encode(head).decode())
    return msgspec.json.encode(line) + b"\n"


def _patch(blobs: Blobs, file: ChangedFile) -> bytes:
    """Return the patch of a file; of one that has no text a comment, which `git apply` skips."""
    if file.is_binary or file.is_truncated:
        why = "is binary" if file.is_binary else "is too large, so its contents are not all recorded"
        return f"# {file.file!r} {why}\n".encode("utf-8", "backslashreplace")
    sides = [None if digest is None else blobs.get(digest) for digest in (file.before, file.after)]
    return patch_of(file, sides[0] or b"", sides[1] or b"")
