"""The content of one commit: the rules of an append, the same for every log.

Keeps: commands are appended once, versions are the expected ones, positions have no gap, each record is chained to the
one before it. Later appends of a batch see the earlier ones; nothing outside changes until the log has made the batch
durable (writer.py, memory_log.py).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from fleet.errors import Problem, Rejected
from fleet.events.codec import SALT_BYTES, Header, digest_command, digest_payload, encode, recorded
from fleet.events.envelope import Appended, Cause, CommandRecord, Recorded
from fleet.events.log import VersionConflict
from fleet.events.registry import Encoded, EventRegistry
from fleet.limits import EVENT_BYTES_MAX, STREAM_NAME_BYTES_MAX

Salts = Callable[[int], bytes]
"""Returns so many random bytes; `os.urandom` but for tests that want the same log twice."""


class LogEnd(NamedTuple):
    """Where the log ends: position and digest of its last record."""

    position: int
    digest: bytes


class Append(NamedTuple):
    """One append as it was asked for, encoded and checked for size. `on_full_disk`: a full disk takes it."""

    stream: str
    expected_version: int
    events: Sequence[Any]
    encoded: Sequence[Encoded]
    cause: Cause
    command_id: str | None
    command_digest: bytes
    size_bytes: int
    on_full_disk: bool


class ErasureBatch(NamedTuple):
    """The next page of a stream to be erased: its events beyond `after`, up to `through`, which is durable."""

    stream: str
    after: int
    through: int
    events: Sequence[Any] = ()
    size_bytes: int = 0
    on_full_disk: bool = True  # it takes little of the reserve, and gives space back


class ErasedUpTo(NamedTuple):
    """What an erasure reached: `through` when there is no more to be erased."""

    position: int


class _Durable(Protocol):
    """What a batch follows on: the end of the log, its streams' versions and the commands in it."""

    @property
    def tip(self) -> LogEnd: ...

    def stream_version(self, stream: str) -> int: ...

    def find_command(self, command_id: str) -> CommandRecord | None: ...


Outcome = Appended | VersionConflict | Problem
"""What an append comes to: a value, or the exception to raise."""

Written = Outcome | ErasedUpTo
"""What an append or an erasure comes to."""


def make_order(
    registry: EventRegistry,
    stream: str,
    expected_version: int,
    events: Sequence[Any],
    *,
    cause: Cause,
    command_id: str | None,
    command_digest: bytes,
) -> Append:
    """Encode and check an append. Raises `Rejected` event_too_large, ValueError, TypeError (not registered)."""
    name = stream.encode()
    if not name or len(name) > STREAM_NAME_BYTES_MAX or b"\0" in name:
        raise ValueError(f"stream name {stream!r}: use 1 to {STREAM_NAME_BYTES_MAX} bytes without NUL")
    if not events:
        raise ValueError(f"append to {stream} without events: an append is one event or more")
    encoded = [registry.encode(event) for event in events]
    size_bytes = 0
    for one in encoded:
        if len(one.payload) > EVENT_BYTES_MAX:
            raise Rejected(
                "event_too_large",
                f"A {one.type} event has {len(one.payload)} bytes; the log takes up to {EVENT_BYTES_MAX}.",
                hint="Send less in one request: fewer or smaller attachments.",
            )
        size_bytes += len(one.payload)
    on_full_disk = all(registry.is_for_full_disk(event) for event in events)
    return Append(
        stream, expected_version, events, encoded, cause, command_id, command_digest, size_bytes, on_full_disk
    )


class Batch:
    """Appends of one commit. After `add` for each: what to write, what to tell, and the log's tip after it.

    `salts` holds `SALT_BYTES` for each event of the batch. `records` are in order of position; `heads` are the versions
    of the streams that it touches. `refusal` is the outcome of what is not taken on a full disk.
    """

    def __init__(self, durable: _Durable, now_ms: int, salts: bytes, refusal: Problem | None = None) -> None:
        self.tip = durable.tip
        self.records: list[bytes] = []
        self.recorded: list[Recorded] = []
        self.commands: dict[str, CommandRecord] = {}
        self.heads: dict[str, int] = {}
        self._durable = durable
        self._now_ms = now_ms
        self._salts = salts
        self._refusal = refusal

    def add(self, order: Append) -> Outcome:
        """Place an append behind those before it, or say why it has no place."""
        if order.command_id is not None:
            first = self.commands.get(order.command_id) or self._durable.find_command(order.command_id)
            if first is not None:
                return _repeat(first, order)
        actual = self.heads.get(order.stream)
        if actual is None:
            actual = self._durable.stream_version(order.stream)
        if actual != order.expected_version:
            return VersionConflict(order.stream, order.expected_version, actual)
        if self._refusal is not None and not order.on_full_disk:
            return self._refusal
        return self._place(order)

    def _place(self, order: Append) -> Appended:
        (position, digest), version = self.tip, order.expected_version
        stream, cause, command_id, command_digest = order.stream, order.cause, order.command_id, order.command_digest
        salts_at = SALT_BYTES * len(self.records)
        for event, (type_name, schema, payload) in zip(order.events, order.encoded, strict=True):
            position += 1
            version += 1
            salt = self._salts[salts_at : salts_at + SALT_BYTES]
            salts_at += SALT_BYTES
            header = Header(
                type_name,
                schema,
                position,
                stream,
                version,
                self._now_ms,
                cause.actor,
                cause.causation_id,
                cause.correlation_id,
                command_id,
                digest_command(salt, command_digest),
                digest_payload(salt, payload),
                digest,
            )
            record, digest = encode(header, salt, payload)
            self.records.append(record)
            self.recorded.append(recorded(header, cause, payload, event))
        self.tip = LogEnd(position, digest)
        self.heads[stream] = version
        if command_id is not None:
            self.commands[command_id] = CommandRecord(stream, position, version, command_digest)
        return Appended(position, version)


def _repeat(first: CommandRecord, order: Append) -> Outcome:
    if not first.matches(order.command_digest):
        return Rejected(
            "idempotency_conflict",
            f"The command id {order.command_id!r} was used before, for something else.",
            hint="Repeat a request with the same content, or give a new one an id of its own.",
        )
    return Appended(first.position, first.version, repeated=True)
