"""The feed: gapless, in order, once, over reconnects and crashes."""

from collections.abc import Iterator

from tests.simulation.evidence import Evidence


def readers_got_everything_once(evidence: Evidence) -> Iterator[str]:
    """A reader that comes back with its cursor has each event of its filter once and in order (law 7)."""
    for reader in evidence.readers:
        headers = [record.header for record in evidence.records]
        expected = [header.position for header in headers if reader.wants(header.stream, header.type)]
        if reader.got != expected:
            missing = sorted(set(expected) - set(reader.got))[:5]
            yield f"the reader of {reader.stream or 'all'} got {len(reader.got)} of {len(expected)}, not {missing}"
