"""The shape of a state: the format in which an actor stores snapshots of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from fleet.events.snapshots import fingerprint, pack


class Shape(NamedTuple):
    """The format of snapshots of one kind of state. `schema` changes with the State class or with `revision`."""

    schema: str
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def shape_of(kind: str, state_type: Any, revision: int = 1) -> Shape:
    """Return the shape of `state_type`. Increase `revision` if `evolve` changes and the fields do not."""
    return Shape(fingerprint(kind, state_type, revision), pack, msgspec.msgpack.Decoder(state_type).decode)
