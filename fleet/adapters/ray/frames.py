"""The frames between the server and the sidecar: a length of four bytes, then one order or one event in msgpack.

The server sends orders, each with an id. The sidecar sends an answer for each, in any order. Its first frame says
whether it is connected to the cluster.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from fleet.limits import ENGINE_FRAME_BYTES_MAX

HOST_LABEL: Final = "fleet-host"
"""The label of a machine in the cluster that names it as a host."""

AGENT: Final = "fleet-host-"
"""What the name of an agent in the cluster begins with; the name of its host follows."""

SLOT: Final = "fleet-slot-"
"""What the name of a reservation in the cluster begins with; its slot, `@` and the name of its host follow."""

_LENGTH_BYTES: Final = 4


def namespace_of(data_id: str | None) -> str:
    """Return where the agents and reservations of a server are in the cluster: its own, by its data directory's id."""
    return "fleet" if data_id is None else f"fleet-{data_id}"


def server_of(namespace: str) -> str:
    """Return the id of the server with this namespace, which is that of its data directory; `fleet` if it has none."""
    return namespace.removeprefix("fleet-")


class FilePart(msgspec.Struct, frozen=True):
    """A part of a file of the server's machine."""

    path: str
    offset: int
    count: int


class PortCall(msgspec.Struct, frozen=True, tag=True):
    """Call the method of a port on the agent of a host. `limit_s` bounds a wait; see `calls.carry_out`.

    With `last` the sidecar reads the last argument, which `body` has empty, from a file: its pipe is slower.
    """

    host: str
    port: str
    method: str
    body: bytes
    limit_s: float | None = None
    last: FilePart | None = None


class Adopt(msgspec.Struct, frozen=True, tag=True):
    """Find the agent of a host, or start it with `options`. `is_fresh`: end a running one first."""

    host: str
    options: bytes
    is_fresh: bool = False


class Dismiss(msgspec.Struct, frozen=True, tag=True):
    """End the agent of a host, if it has one."""

    host: str


class Nodes(msgspec.Struct, frozen=True, tag=True):
    """List the machines of the cluster, and what is reserved if asked for: the answer is a `Cluster`.

    Ray keeps reservations that were released, and reading all of them takes 30 us each.
    """

    with_slots: bool = False


class Reserve(msgspec.Struct, frozen=True, tag=True):
    """Reserve room for a slot, or find its reservation: the answer is a `Slot`.

    `selector` has Ray's conditions for labels. `wait_s`: how long to wait for the room.
    """

    slot: str
    cpus: float
    memory_mb: int
    selector: Mapping[str, str]
    wait_s: float


class Release(msgspec.Struct, frozen=True, tag=True):
    """Release the room of a slot."""

    slot: str


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Cancel the order with this id. It has no answer of its own."""

    order: int


Work = PortCall | Adopt | Dismiss | Nodes | Reserve | Release


class Order(msgspec.Struct, frozen=True, array_like=True):
    """An order of the server, with its id."""

    id: int
    work: Work | Cancel


class Node(msgspec.Struct, frozen=True):
    """A machine of the cluster that is alive."""

    labels: Mapping[str, str]
    address: str
    cpus: float
    memory_bytes: int


class Slot(msgspec.Struct, frozen=True):
    """A reservation, and the host of its machine, None while it has none.

    `is_placed` stays true when the machine ends: the reservation then waits for it. One that is not `is_own` is of
    another server on the same cluster: it takes room, and nothing else.
    """

    cpus: float
    memory_mb: int
    host: str | None
    is_placed: bool
    is_own: bool = True


class Cluster(msgspec.Struct, frozen=True):
    """The machines of the cluster, whether it can start more of them, and the reservations by name if asked for.

    Those of other servers have names that no reservation of this one has.
    """

    nodes: tuple[Node, ...]
    has_autoscaler: bool
    slots: Mapping[str, Slot] = {}


FailureKind = Literal["unreachable", "gone", "engine", "cancelled"]
"""The agent does not answer; there is no agent; the engine refused or does not answer; the order was cancelled."""


class Connected(msgspec.Struct, frozen=True, tag=True):
    """The sidecar is connected to the cluster."""

    engine_version: str


class NotConnected(msgspec.Struct, frozen=True, tag=True):
    """The sidecar cannot use the cluster, and ends. `is_final`: trying again does not help."""

    reason: str
    is_final: bool


class Done(msgspec.Struct, frozen=True, tag=True):
    """The encoded result of an order."""

    order: int
    body: bytes


class Failed(msgspec.Struct, frozen=True, tag=True):
    """An order failed. With "unreachable" it may have been carried out."""

    order: int
    kind: FailureKind
    reason: str


Report = Connected | NotConnected | Done | Failed

encode: Final = msgspec.msgpack.Encoder().encode
decode_order: Final = msgspec.msgpack.Decoder(Order).decode
decode_report: Final = msgspec.msgpack.Decoder[Report](Report).decode
decode_cluster: Final = msgspec.msgpack.Decoder(Cluster).decode
decode_slot: Final = msgspec.msgpack.Decoder(Slot).decode


class FrameError(ValueError):
    """The other side sends no frames, or one that is too long."""


def frame_of(content: Order | Report) -> bytes:
    """Return the frame. Raises `FrameError` if it is too long."""
    body = encode(content)
    if len(body) > ENGINE_FRAME_BYTES_MAX:
        raise FrameError(f"a frame has {len(body)} bytes; the limit is {ENGINE_FRAME_BYTES_MAX}")
    return len(body).to_bytes(_LENGTH_BYTES, "little") + body


class FrameSplitter:
    """Splits bytes that arrive in pieces into the bodies of frames."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bodies that `data` completes. Raises `FrameError`."""
        self._pending += data
        bodies: list[bytes] = []
        while len(self._pending) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(self._pending[:_LENGTH_BYTES], "little")
            if end - _LENGTH_BYTES > ENGINE_FRAME_BYTES_MAX:
                raise FrameError(f"a frame has {end - _LENGTH_BYTES} bytes; the limit is {ENGINE_FRAME_BYTES_MAX}")
            if len(self._pending) < end:
                break
            bodies.append(bytes(self._pending[_LENGTH_BYTES:end]))
            del self._pending[:end]
        return bodies
