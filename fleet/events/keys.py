"""Makes the keys of the log's tables: they sort by position, and those of a stream are neighbours."""


def position_key(position: int) -> bytes:
    """Return the key in `records` of the event at this position."""
    return position.to_bytes(8, "big")


def stream_prefix(stream: str) -> bytes:
    """Return the first bytes of all keys of a stream; a position key follows."""
    return stream.encode() + b"\0"
