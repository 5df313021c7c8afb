"""The contents in the blob store that events name: the manifests of turns, and the files in them."""

from collections.abc import Callable, Iterator

from fleet.core.manifest import decode_manifest
from fleet.core.session.turn_events import ChangesRecorded
from fleet.events.log import LogReader


def contents_of(log: LogReader, read: Callable[[str], bytes | None]) -> Iterator[tuple[str, str]]:
    """Yield the owner and digest of each content that an event of the log names, once for each owner.

    `read` returns the content of a digest, where there is one: the manifests name further contents.
    """
    for stream in list(log.streams("session-")):
        known: dict[str, None] = {}
        for _, _, event in log.replay(stream):
            if isinstance(event, ChangesRecorded):
                for manifest in (event.turn_manifest, event.session_manifest):
                    if manifest not in known:
                        known[manifest] = None
                        known.update(dict.fromkeys(_named(read(manifest))))
        for digest in known:
            yield stream, digest


def _named(manifest: bytes | None) -> Iterator[str]:
    for file in () if manifest is None else decode_manifest(manifest).files:
        yield from (digest for digest in (file.before, file.after) if digest is not None)
