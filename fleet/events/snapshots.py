"""Encodes the states of aggregates, and decides by a fingerprint whether a stored state can still be read.

A snapshot or a view's row is a state in MessagePack. It is disposable: when its fingerprint is not the current one, it
is ignored and the events are folded again.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from typing import Any, Final, cast

import msgspec

_INTEGERS: Final = (-(2**63), 2**64 - 1)
_encode: Final = msgspec.msgpack.Encoder().encode


@cache
def fingerprint(kind: str, state_type: Any, revision: int) -> str:
    """Return a string that changes with the structure of the state or its decider's `revision`."""
    structure = msgspec.json.encode(msgspec.json.schema(state_type), order="deterministic")
    return f"{kind}/{revision}/{blake2b(structure, digest_size=8).hexdigest()}"


def pack(state: Any) -> bytes:
    """Return the state in MessagePack. An integer beyond its range is clamped, so that one number cannot stop Fleet."""
    try:
        return _encode(state)
    except OverflowError:
        return _encode(_cut(msgspec.to_builtins(state, builtin_types=(bytes,))))


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {_cut(key): _cut(each) for key, each in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_cut(each) for each in cast("Sequence[Any]", value)]
    if isinstance(value, int) and not isinstance(value, bool):
        least, most = _INTEGERS
        return min(max(value, least), most)
    return value
