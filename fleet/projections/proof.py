"""Proves everything that is stored: the log itself, and what is made from it or named by it.

First the records, with their chain, payloads, versions, index, commands, erasures and heads (events/verify.py). Then
snapshots, rows of views and the index of sessions are compared with a fold of the events (replay.py), and the blobs
that events name are read: manifests, and the contents that these name. It runs in steps of some milliseconds, so a
server continues to work.
"""

from collections.abc import AsyncIterator, Callable, Generator, Iterable
from typing import Final

import msgspec
import trio

from fleet.core.manifest import decode_manifest
from fleet.core.session.turn_events import ChangesRecorded
from fleet.events.blobs import Blobs, CorruptBlob
from fleet.events.heads import Expected
from fleet.events.log import LogReader
from fleet.events.verify import Break, VerificationResult, compare_heads, verifying
from fleet.limits import LOG_SEARCH_PAGE_EVENTS
from fleet.projections.replay import SNAPSHOTS, Parted, Steps, replay_snapshots, replay_views
from fleet.projections.replay_index import INDEX
from fleet.projections.store import ViewStore

HEADS: Final = "heads"
CHAIN: Final = ("chain", "payloads", "versions", "index", "commands", "erasures", HEADS)
DERIVED: Final = ("snapshots", "views", "blobs", "manifests")
SESSIONS: Final = "session index"
SEARCH: Final = "search index"
"""It is compared by `fleet log replay` alone, which builds a second one."""

_NAMES_BLOBS: Final = "session.changes-recorded"


async def prove_chain(
    log: LogReader, through: int | None = None, expected: Iterable[Expected] = ()
) -> VerificationResult:
    """Verify the records up to position `through`, by default all."""
    result = await _walked(verifying(log, through, expected))
    return msgspec.structs.replace(result, checked=CHAIN, not_checked=(*DERIVED, SESSIONS, SEARCH))


def prove_heads(log: LogReader, expected: Iterable[Expected]) -> VerificationResult:
    """Compare the signed heads and what is `expected` with the log, nothing between them."""
    rest = (*(each for each in CHAIN if each != HEADS), *DERIVED, SESSIONS, SEARCH)
    return msgspec.structs.replace(compare_heads(log, expected), checked=(HEADS,), not_checked=rest)


async def prove_everything(
    log: LogReader,
    views: ViewStore,
    blobs: Blobs | None,
    expected: Iterable[Expected] = (),
    *,
    index: Callable[[], Steps] | None = None,
    left_out_through: int = 0,
) -> VerificationResult:
    """Verify the records, and if they are intact, everything else. The first break is the one with the lowest position.

    Blobs are read in a worker thread; without a store of `blobs` all are lost. `index` replays the index of sessions
    (replay_index.py), if it can be read. Contents that events up to `left_out_through` name may be missing, because
    they were not part of the export that the log was imported from.
    """
    result = await prove_chain(log, None, expected)
    if result.first_break is not None:
        return result
    breaks: list[Break] = []
    compared = set[str]()
    replays = (replay_snapshots(log, log.head()), replay_views(log, views, log.head()))
    for steps in replays if index is None else (*replays, index()):
        breaks += [each async for each in _parted(log, steps, compared)]
    left_out = set[str]()
    breaks += [each async for each in _lost_blobs(log, blobs, left_out_through, left_out)]
    first = min(breaks, key=lambda each: each.position, default=None)
    return msgspec.structs.replace(
        result,
        first_break=first,
        left_out=len(left_out),
        checked=(*CHAIN, *DERIVED, *((SESSIONS,) if INDEX in compared else ())),
        not_checked=(SEARCH,) if INDEX in compared else (SESSIONS, SEARCH),
    )


async def _walked(walk: Generator[None, None, VerificationResult]) -> VerificationResult:
    while True:
        try:
            next(walk)
        except StopIteration as end:
            report: VerificationResult = end.value
            return report
        await trio.lowlevel.checkpoint()


async def _parted(log: LogReader, steps: Steps, compared: set[str]) -> AsyncIterator[Break]:
    """Yield what does not follow from the events; add the names of the projections to `compared`."""
    for each in steps:
        if each is not None and (isinstance(each, Parted) or each.through is not None):
            compared.add(each.projection)
        if isinstance(each, Parted) and not _is_being_erased(log, _stream_of(each)):
            what = f"{each.projection} {each.key}".rstrip()
            yield Break(each.position, f"{what} does not follow from the events: {', '.join(each.fields)}")
        await trio.lowlevel.checkpoint()


async def _lost_blobs(log: LogReader, blobs: Blobs | None, through: int, left_out: set[str]) -> AsyncIterator[Break]:
    """Yield the events that name a blob that is lost or damaged.

    What an event up to position `through` names may have been left out; its digest is added to `left_out`.
    """
    position, head = 0, log.head()
    while position < head:
        page = range(position + 1, min(position + LOG_SEARCH_PAGE_EVENTS, head) + 1)
        named = [header.position for header in log.read_headers(page) if header.type == _NAMES_BLOBS]
        position = page[-1]
        await trio.lowlevel.checkpoint()
        for at in named:
            (recorded,) = log.read_all(at - 1, 1)
            if isinstance(recorded.event, ChangesRecorded):
                damage, missing = await trio.to_thread.run_sync(_find_lost, blobs, recorded.stream, recorded.event)
                if at <= through:
                    left_out.update(missing)
                elif damage is None:
                    damage = next(iter(missing.values()), None)
                if damage is not None and not _is_being_erased(log, recorded.stream):
                    yield Break(at, damage)


def _stream_of(parted: Parted) -> str:
    return parted.key if parted.projection in (SNAPSHOTS, INDEX) else f"{parted.projection}-{parted.key}"


def _is_being_erased(log: LogReader, stream: str) -> bool:
    """Return whether the erasure of the stream was ordered, perhaps meanwhile."""
    last = log.stream_positions(stream, 0, log.head() + 1, 1, newest_first=True)
    return any(header.type.endswith(".erased") for header in log.read_headers(last))


def _find_lost(blobs: Blobs | None, stream: str, event: ChangesRecorded) -> tuple[str | None, dict[str, str]]:
    """Return what is damaged of the blobs of an event, and what is missing, by its digest. Runs in a thread."""
    missing: dict[str, str] = {}
    for manifest in dict.fromkeys((event.turn_manifest, event.session_manifest)):
        content, problem = _content(blobs, stream, manifest)
        if problem is not None:
            return problem, missing
        if content is None:
            missing[manifest] = f"the blob {manifest} is missing"
            continue
        try:
            files = decode_manifest(content).files
        except msgspec.MsgspecError as error:
            return f"the manifest {manifest} cannot be read: {error}", missing
        for file in files:
            for digest in (file.before, file.after):
                content, problem = (b"", None) if digest is None else _content(blobs, stream, digest)
                if problem is not None:
                    return f"{problem} ({file.file})", missing
                if content is None and digest is not None:
                    missing[digest] = f"the blob {digest} is missing ({file.file})"
    return None, missing


def _content(blobs: Blobs | None, stream: str, digest: str) -> tuple[bytes | None, str | None]:
    """Return the content, None where it is missing, and what is damaged."""
    try:
        return (blobs.get(digest) if blobs is not None and blobs.owns(stream, digest) else None), None
    except CorruptBlob as error:
        return None, error.detail
    except ValueError:
        return None, f"{digest!r} is not the digest of a blob"
