"""Builds the content of one commit by the rules of an append, which are the same for every log.

A command is appended once, a stream has the expected version, positions have no gaps, and each record is chained to the
one before it. Later appends of a batch see the earlier ones. Nothing outside the batch changes until the log has made
it durable (writer.py).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from fleet.errors import Problem, Rejected
from fleet.events.codec import SALT_BYTES, Header, digest_command, digest_payload, encode, recorded
from fleet.events.envelope import NO_OWN_CAUSES, Appended, Cause, CommandRecord, OwnCauses, Recorded, causes_of
from fleet.events.log import VersionConflict
from fleet.events.registry import Encoded, EventRegistry
from fleet.events.replacements import REPLACING, ordered_in
from fleet.limits import EVENT_BYTES_MAX, STREAM_NAME_BYTES_MAX

Salts = Callable[[int], bytes]
"""Returns that many random bytes: `os.urandom`, except in tests that need the same log twice."""


class LogEnd(NamedTuple):
    """Where the log ends: position and digest of its last record."""

    position: int
    digest: bytes


class Append(NamedTuple):
    """A requested append, encoded and checked for size. `on_full_disk`: it is accepted even on a full disk."""

    stream: str
    expected_version: int
    events: Sequence[Any]
    encoded: Sequence[Encoded]
    cause: Cause
    command_id: str | None
    command_digest: bytes
    size_bytes: int
    on_full_disk: bool
    own_causes: OwnCauses = NO_OWN_CAUSES
    replaced: Mapping[int, bytes] = {}


class ErasureBatch(NamedTuple):
    """The next page of an erasure: the stream's events beyond `after`, up to the durable position `through`."""

    stream: str
    after: int
    through: int
    events: Sequence[Any] = ()
    size_bytes: int = 0
    on_full_disk: bool = True  # it needs little of the reserve and frees space


class ErasedUpTo(NamedTuple):
    """The position that an erasure has reached: `through` when it is complete."""

    position: int


class _Durable(Protocol):
    """The durable log that a batch extends: its end, the versions of its streams, and its commands."""

    @property
    def tip(self) -> LogEnd: ...

    def stream_version(self, stream: str) -> int: ...

    def find_command(self, command_id: str) -> CommandRecord | None: ...


AppendResult = Appended | VersionConflict | Problem
"""The result of an append: a value, or the exception to raise."""

Written = AppendResult | ErasedUpTo
"""The result of an append or an erasure."""


def encode_append(
    registry: EventRegistry,
    stream: str,
    expected_version: int,
    events: Sequence[Any],
    *,
    cause: Cause,
    command_id: str | None,
    command_digest: bytes,
    own_causes: OwnCauses = NO_OWN_CAUSES,
) -> Append:
    """Encode and check an append. Raises `Rejected` event_too_large, ValueError, TypeError (not registered)."""
    name = stream.encode()
    if not name or len(name) > STREAM_NAME_BYTES_MAX or b"\0" in name:
        raise ValueError(f"stream name {stream!r}: use 1 to {STREAM_NAME_BYTES_MAX} bytes without NUL")
    if not events:
        raise ValueError(f"append to {stream} has no events: give at least one")
    encoded = [registry.encode(event) for event in events]
    size_bytes = 0
    replaced: dict[int, bytes] = {}
    for number, one in enumerate(encoded, 1):
        if len(one.payload) > EVENT_BYTES_MAX:
            raise Rejected(
                "event_too_large",
                f"a {one.type} event is {len(one.payload)} bytes; the limit is {EVENT_BYTES_MAX}",
                hint="Send less in one request: fewer or smaller attachments.",
            )
        size_bytes += len(one.payload)
        if one.type == REPLACING and number == len(encoded):  # an order is an append's last event
            replaced = ordered_in(one.payload)
    on_full_disk = all(registry.is_for_full_disk(event) for event in events)
    return Append(
        stream,
        expected_version,
        events,
        encoded,
        cause,
        command_id,
        command_digest,
        size_bytes,
        on_full_disk,
        own_causes,
        replaced,
    )


class _Placed(Protocol):
    @property
    def stream(self) -> str: ...

    @property
    def version(self) -> int: ...


class Commit(Protocol):
    """The content of a commit: records at the end of the log, with the stream and version of each."""

    @property
    def records(self) -> Sequence[bytes]:
        """The bytes of each record, in order."""
        ...

    @property
    def recorded(self) -> Sequence[_Placed]:
        """The place of each record in its stream, in the same order."""
        ...

    @property
    def commands(self) -> Mapping[str, CommandRecord]:
        """The records of the commands that it carries out."""
        ...

    @property
    def versions(self) -> Mapping[str, int]:
        """The new versions of its streams."""
        ...

    @property
    def replaced(self) -> Mapping[int, tuple[int, bytes]]:
        """The position of the order and the new payload of earlier events, by position (replacements.py)."""
        ...

    @property
    def rewritten(self) -> set[str]:
        """The streams that order them, whose snapshots no longer apply."""
        ...

    @property
    def tip(self) -> LogEnd:
        """The new end of the log."""
        ...

    @property
    def now_ms(self) -> int:
        """When the new end is signed."""
        ...


class Batch:
    """The appends of one commit. After `add` for each, it holds what to write and publish, and the new end of the log.

    `salts` holds `SALT_BYTES` for each event of the batch. `records` are in order of position; `versions` are the new
    ones of its streams. `refusal` is the result of appends that a full disk does not accept.
    """

    def __init__(self, durable: _Durable, now_ms: int, salts: bytes, refusal: Problem | None = None) -> None:
        self.tip = durable.tip
        self.records: list[bytes] = []
        self.recorded: list[Recorded] = []
        self.commands: dict[str, CommandRecord] = {}
        self.versions: dict[str, int] = {}
        self.replaced: dict[int, tuple[int, bytes]] = {}
        self.rewritten: set[str] = set()
        self.now_ms = now_ms
        self._durable = durable
        self._salts = salts
        self._refusal = refusal

    def add(self, append: Append) -> AppendResult:
        """Place an append after the earlier ones, or return the reason why it is refused."""
        if append.command_id is not None:
            first = self.commands.get(append.command_id) or self._durable.find_command(append.command_id)
            if first is not None:
                return _repeat(first, append)
        actual = self.versions.get(append.stream)
        if actual is None:
            actual = self._durable.stream_version(append.stream)
        if actual != append.expected_version:
            return VersionConflict(append.stream, append.expected_version, actual)
        if self._refusal is not None and not append.on_full_disk:
            return self._refusal
        return self._place(append)

    def _place(self, append: Append) -> Appended:
        (position, digest), version = self.tip, append.expected_version
        stream = append.stream
        causes = causes_of(position + 1, len(append.events), append.cause, append.own_causes)
        command_id, command_digest = append.command_id, append.command_digest
        salts_at = SALT_BYTES * len(self.records)
        for event, (type_name, schema, payload), cause in zip(append.events, append.encoded, causes, strict=True):
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
                self.now_ms,
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
        self.versions[stream] = version
        if append.replaced:
            self.replaced |= {at: (position, payload) for at, payload in append.replaced.items()}
            self.rewritten.add(stream)
        if command_id is not None:
            self.commands[command_id] = CommandRecord(stream, position, version, command_digest)
        return Appended(position, version)


def _repeat(first: CommandRecord, append: Append) -> AppendResult:
    if not first.matches(append.command_digest):
        return Rejected(
            "idempotency_conflict",
            f"the command id {append.command_id!r} was used before with other content",
            hint="Repeat a request with the same content, or use a new id for a new request.",
        )
    return Appended(first.position, first.version, repeated=True)
