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
from fleet.events.verify import Break, VerificationResult, verifying
from fleet.limits import LOG_SEARCH_PAGE_EVENTS
from fleet.projections.replay import SNAPSHOTS, Parted, Steps, replay_snapshots, replay_views
from fleet.projections.replay_index import INDEX
from fleet.projections.store import ViewStore

CHAIN: Final = ("chain", "payloads", "versions", "index", "commands", "erasures", "heads")
DERIVED: Final = ("snapshots", "views", "blobs", "manifests")
SESSIONS: Final = "session index"
_NAMES_BLOBS: Final = "session.changes-recorded"


async def prove_chain(
    log: LogReader, through: int | None = None, expected: Iterable[Expected] = ()
) -> VerificationResult:
    """Verify the records up to position `through`, by default all."""
    result = await _walked(verifying(log, through, expected))
    return msgspec.structs.replace(result, checked=CHAIN)


async def prove_everything(
    log: LogReader,
    views: ViewStore,
    blobs: Blobs | None,
    expected: Iterable[Expected] = (),
    *,
    index: Callable[[], Steps] | None = None,
) -> VerificationResult:
    """Verify the records, and if they are intact, everything else. The first break is the one with the lowest position.

    Blobs are read in a worker thread; without a store of `blobs` all are lost. `index` replays the index of sessions
    (replay_index.py), if it can be read.
    """
    result = await prove_chain(log, None, expected)
    if result.first_break is not None:
        return result
    breaks: list[Break] = []
    replays = (replay_snapshots(log, log.head()), replay_views(log, views, log.head()))
    for steps in replays if index is None else (*replays, index()):
        breaks += [each async for each in _parted(log, steps)]
    breaks += [each async for each in _lost_blobs(log, blobs)]
    first = min(breaks, key=lambda each: each.position, default=None)
    return msgspec.structs.replace(
        result, first_break=first, checked=(*CHAIN, *DERIVED, *(() if index is None else (SESSIONS,)))
    )


async def _walked(walk: Generator[None, None, VerificationResult]) -> VerificationResult:
    while True:
        try:
            next(walk)
        except StopIteration as end:
            report: VerificationResult = end.value
            return report
        await trio.lowlevel.checkpoint()


async def _parted(log: LogReader, steps: Steps) -> AsyncIterator[Break]:
    for each in steps:
        if isinstance(each, Parted) and not _is_being_erased(log, _stream_of(each)):
            what = f"{each.projection} {each.key}".rstrip()
            yield Break(each.position, f"{what} does not follow from the events: {', '.join(each.fields)}")
        await trio.lowlevel.checkpoint()


async def _lost_blobs(log: LogReader, blobs: Blobs | None) -> AsyncIterator[Break]:
    """Yield the events that name a blob that is lost or damaged."""
    position, head = 0, log.head()
    while position < head:
        page = range(position + 1, min(position + LOG_SEARCH_PAGE_EVENTS, head) + 1)
        named = [header.position for header in log.read_headers(page) if header.type == _NAMES_BLOBS]
        position = page[-1]
        await trio.lowlevel.checkpoint()
        for at in named:
            (recorded,) = log.read_all(at - 1, 1)
            if isinstance(recorded.event, ChangesRecorded):
                lost = await trio.to_thread.run_sync(_find_lost, blobs, recorded.stream, recorded.event)
                if lost is not None and not _is_being_erased(log, recorded.stream):
                    yield Break(at, lost)


def _stream_of(parted: Parted) -> str:
    return parted.key if parted.projection in (SNAPSHOTS, INDEX) else f"{parted.projection}-{parted.key}"


def _is_being_erased(log: LogReader, stream: str) -> bool:
    """Return whether the erasure of the stream was ordered, perhaps meanwhile."""
    last = log.stream_positions(stream, 0, log.head() + 1, 1, newest_first=True)
    return any(header.type.endswith(".erased") for header in log.read_headers(last))


def _find_lost(blobs: Blobs | None, stream: str, event: ChangesRecorded) -> str | None:
    """Return what is wrong with the blobs of an event, None where nothing is. Runs in a thread."""
    for manifest in dict.fromkeys((event.turn_manifest, event.session_manifest)):
        content, problem = _content(blobs, stream, manifest)
        if content is None:
            return problem
        try:
            files = decode_manifest(content).files
        except msgspec.MsgspecError as error:
            return f"the manifest {manifest} cannot be read: {error}"
        for file in files:
            for digest in (file.before, file.after):
                if digest is not None and _content(blobs, stream, digest)[0] is None:
                    return f"{_content(blobs, stream, digest)[1]} ({file.file})"
    return None


def _content(blobs: Blobs | None, stream: str, digest: str) -> tuple[bytes | None, str]:
    try:
        content = blobs.get(digest) if blobs is not None and blobs.owns(stream, digest) else None
    except CorruptBlob as error:
        return None, error.detail
    except ValueError:
        return None, f"{digest!r} is not the digest of a blob"
    return content, f"the blob {digest} is missing"
