"""Encodes log records for the disk, and computes their digests.

    record  = header length (4 bytes, big-endian) | header (MessagePack array) | salt (16 bytes) | payload (JSON)
    compressed = header length + 2^31             | header | salt (16 bytes) | payload, see compression.py
    replaced = header length + 2^30 | header | position of the order (8 bytes) | payload (JSON), see replacements.py
    erased  = header length                       | header                     | the mark `erased`
    payload_digest = SHA-256(salt | payload)      in the header
    record digest  = SHA-256(header)              in the header of the next record, as previous_digest

The chain covers only headers. A header holds a salted digest of its payload and one of its request, nothing else of
them. So a record's salt and payload can be erased: the chain can still be verified, and the content cannot be guessed
from it. A replaced payload has no salt, and the digest in the header is that of the payload before it. The header is an
array whose fields keep their places; new fields are added at the end.

An event is decoded only from a payload that has the digest in its header, or that a later event orders: any other
payload is a damaged event. So nothing reads a payload that was changed, whether or not the log was verified.
"""

import hashlib
import struct
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

from fleet.errors import Problem
from fleet.events.compression import NotCompressed, compress, decompress
from fleet.events.envelope import Cause, Damaged, Erased, Recorded
from fleet.events.registry import DamagedPayload, EventRegistry, UnreadableEvent

SALT_BYTES: Final = 16
GENESIS_DIGEST: Final = bytes(32)
"""The digest of the record before the first one, which does not exist."""

_LENGTH_BYTES: Final = 4
_COMPRESSED: Final = 1 << 31
_REPLACED: Final = 1 << 30
_LENGTH_MASK: Final = _REPLACED - 1
_COMPRESSED_BIT: Final = 1 << 7  # in the first byte
_REPLACED_BIT: Final = 1 << 6
_ORDER_BYTES: Final = 8
ERASED_MARK: Final = b"erased"  # shorter than a salt, so no other record is as short
_DAMAGED_MARK: Final = b"damaged "
_ERASED: Final = Erased()
_NO_PAYLOAD: Final = b"{}"


class Header(msgspec.Struct, frozen=True, array_like=True):
    """Everything in a record except its payload and salt. The fields of `_Kind` come first."""

    type: str
    schema: int
    position: int
    stream: str
    version: int
    recorded_at_ms: int
    actor: str
    causation_id: str | None
    correlation_id: str | None
    command_id: str | None
    command_digest: bytes
    payload_digest: bytes
    previous_digest: bytes


class _Kind(msgspec.Struct, frozen=True, array_like=True):
    type: str
    schema: int
    position: int
    stream: str
    version: int


class Record(msgspec.Struct, frozen=True):
    """A decoded record. `digest` is its own digest, which the next record holds as well.

    `replaced` is the position of the event that has ordered the payload, 0 for a payload that was not replaced.
    """

    header: Header
    salt: bytes
    payload: bytes
    digest: bytes
    erased: bool = False
    replaced: int = 0


class CorruptRecord(Problem):
    """The bytes in the log are not a valid record."""

    def __init__(self, detail: str) -> None:
        super().__init__("event_damaged", detail)

    def __str__(self) -> str:
        return self.detail


def unreadable_page(error: Exception) -> CorruptRecord:
    """Return the problem of a record on a damaged page."""
    return CorruptRecord(f"a page cannot be read: {error}")


MISPLACED: Final = "the index leads to the record of another event"
UNORDERED: Final = "its payload was replaced, and no order for that is at position {}"
CHANGED: Final = "the payload does not match its digest: it was changed"
_DIGEST_AT: Final = 66  # before the end of the header, which ends with two digests of 2 + 32 bytes each
_DIGEST_ENDS: Final = 34

_length: Final = struct.Struct(">I").unpack_from
_sha256: Final = hashlib.sha256
_encode_header: Final = msgspec.msgpack.Encoder().encode
_decode_header: Final = msgspec.msgpack.Decoder(Header).decode
_decode_kind: Final = msgspec.msgpack.Decoder(_Kind).decode


def digest_payload(salt: bytes, payload: bytes) -> bytes:
    """Return the digest of the payload that the header holds."""
    return hashlib.sha256(salt + payload).digest()


def digest_command(salt: bytes, digest: bytes) -> bytes:
    """Return the salted digest of the command that the header holds, from which no request can be guessed."""
    return hashlib.sha256(salt + digest).digest() if digest else b""


def encode(header: Header, salt: bytes, payload: bytes) -> tuple[bytes, bytes]:
    """Return the record's bytes and its digest, which does not depend on the compression."""
    head = _encode_header(header)
    return join(head, salt, payload), hashlib.sha256(head).digest()


def join(head: bytes, salt: bytes, payload: bytes) -> bytes:
    """Return the record of these bytes of a header; its payload is compressed if that makes it shorter."""
    stored = compress(payload)
    length, stored = (len(head), payload) if stored is None else (len(head) | _COMPRESSED, stored)
    return b"".join((length.to_bytes(_LENGTH_BYTES, "big"), head, salt, stored))


def digest_of(record: bytes) -> bytes:
    """Return the record's digest without decoding it. Raises `CorruptRecord`."""
    return hashlib.sha256(header_bytes(record)).digest()


def decode(record: bytes) -> Record:
    """Decode a record. Raises `CorruptRecord`. The digests are not checked: see `require_payload`, verify.py."""
    end = _header_end(record)
    header, digest = read_header(record[_LENGTH_BYTES:end])
    if _is_erased(record, end):
        return Record(header, b"", b"", digest, erased=True)
    if is_replaced(record):
        order = int.from_bytes(record[end : end + _ORDER_BYTES], "big")
        if order <= header.position:
            raise CorruptRecord(UNORDERED.format(order))
        return Record(header, b"", record[end + _ORDER_BYTES :], digest, replaced=order)
    return Record(header, record[end : end + SALT_BYTES], _payload(record, end), digest)


def require_payload(record: Record) -> None:
    """Raise `CorruptRecord` if the payload is there and is not the one that the header holds the digest of."""
    if not record.erased and digest_payload(record.salt, record.payload) != record.header.payload_digest:
        raise CorruptRecord(CHANGED)


Examined: TypeAlias = tuple[Header, bytes, bytes | None]
"""A header, its digest, and the digest of salt and payload, None where they are erased: for verification."""


def examine(record: bytes) -> Examined:
    """Compute a record's digests, at half the cost of `decode`. Raises `CorruptRecord`."""
    end = _LENGTH_BYTES + _length(record)[0] if len(record) > _LENGTH_BYTES else _COMPRESSED
    if len(record) < end + SALT_BYTES:  # compressed, erased or damaged
        found = decode(record)
        content = None if found.erased else digest_payload(found.salt, found.payload)
        return found.header, found.digest, content
    head = record[_LENGTH_BYTES:end]
    try:
        return _decode_header(head), _sha256(head).digest(), _sha256(record[end:]).digest()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptRecord(f"a record's header cannot be read: {error}") from error


def header_bytes(record: bytes) -> bytes:
    """Return the header's bytes, which its digest covers. Raises `CorruptRecord`."""
    return record[_LENGTH_BYTES : _header_end(record)]


def read_header(head: bytes) -> tuple[Header, bytes]:
    """Decode a header from these bytes; return it with its digest. Raises `CorruptRecord`."""
    try:
        return _decode_header(head), hashlib.sha256(head).digest()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptRecord(f"a record's header cannot be read: {error}") from error


def decode_header(record: bytes) -> Header:
    """Return a record's header alone. Raises `CorruptRecord`."""
    try:
        return _decode_header(header_bytes(record))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptRecord(f"a record's header cannot be read: {error}") from error


def erase(record: bytes) -> bytes:
    """Return the record without salt and payload, marked as erased. Raises `CorruptRecord`."""
    end = _header_end(record)
    return (end - _LENGTH_BYTES).to_bytes(_LENGTH_BYTES, "big") + record[_LENGTH_BYTES:end] + ERASED_MARK


def is_replaced(record: bytes) -> bool:
    """Return whether the payload is another one than that of which the header holds the digest."""
    return bool(record[0] & _REPLACED_BIT)


def replace_payload(record: bytes, order: int, payload: bytes) -> bytes:
    """Return the record with another payload, which the event at the position `order` orders.

    Raises `CorruptRecord`.
    """
    head = header_bytes(record)
    length = (len(head) | _REPLACED).to_bytes(_LENGTH_BYTES, "big")
    return b"".join((length, head, order.to_bytes(_ORDER_BYTES, "big"), payload))


Proof: TypeAlias = Callable[[Record], None]
"""Raises `CorruptRecord` for a replaced record whose payload no event orders."""


def no_proof(record: Record) -> None:
    """Raise `CorruptRecord`: without the log it is not known whether the payload was ordered."""
    raise CorruptRecord(f"event {record.replaced}, which is to order its payload, cannot be read")


def decode_recorded(record: bytes, registry: EventRegistry, prove: Proof = no_proof) -> Recorded:
    """Return the event with its envelope. Raises `CorruptRecord`, `UnreadableEvent`."""
    end = _header_end(record)
    try:
        header = _decode_header(record[_LENGTH_BYTES:end])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptRecord(f"a record's header cannot be read: {error}") from error
    cause = Cause(header.actor, header.causation_id, header.correlation_id)
    if _is_erased(record, end):
        return recorded(header, cause, _NO_PAYLOAD, _ERASED)
    try:
        payload = _proved(record, end, header.payload_digest, prove)[SALT_BYTES:]
        event = registry.decode(header.type, header.schema, payload)
    except (DamagedPayload, CorruptRecord) as damaged:
        return damaged_event(header, cause, str(damaged))
    except UnreadableEvent as error:
        error.position = header.position
        raise
    return recorded(header, cause, payload, event, replaced=is_replaced(record))


def damaged_event(header: Header, cause: Cause, reason: str) -> Recorded:
    """Return an event that cannot be read; its payload says so."""
    return recorded(header, cause, msgspec.json.encode({"damaged": reason}), Damaged(reason))


def decode_event(
    record: bytes, registry: EventRegistry, stream: str, version: int, position: int, *, prove: Proof = no_proof
) -> Any:
    """Return the event with this place, without its envelope, which would double the cost of a fold.

    It is `Damaged` for the record of another place, as for one that cannot be read. Raises `UnreadableEvent`.
    """
    try:
        marked = _length(record)[0]
        end = _LENGTH_BYTES + (marked & _LENGTH_MASK)
        salted = record[end:] if marked < _COMPRESSED else record[end : end + SALT_BYTES] + _payload(record, end)
        if len(salted) < SALT_BYTES or record[end - _DIGEST_AT : end - _DIGEST_ENDS] != _sha256(salted).digest():
            salted = _rare_content(record, prove)
        kind = _decode_kind(record[_LENGTH_BYTES:end])
        if kind.version != version or kind.position != position or kind.stream != stream:
            return Damaged(MISPLACED)
        return registry.decode(kind.type, kind.schema, salted[SALT_BYTES:]) if salted else _ERASED
    except (DamagedPayload, CorruptRecord) as damaged:
        return Damaged(str(damaged))
    except UnreadableEvent as error:
        error.position = position
        raise
    except (msgspec.MsgspecError, UnicodeDecodeError, struct.error) as error:
        return Damaged(f"a record's header cannot be read: {error}")


def _rare_content(record: bytes, prove: Proof) -> bytes:
    """Return salt and payload of a record that is replaced or has a longer header; none if erased."""
    end = _header_end(record)
    if _is_erased(record, end):
        return b""
    return _proved(record, end, _decode_header(record[_LENGTH_BYTES:end]).payload_digest, prove)


def _proved(record: bytes, end: int, digest: bytes, prove: Proof) -> bytes:
    """Return salt and payload of a record that is not erased, whose header ends there and has this digest of them.

    A replaced payload gets a salt of zeros. Raises `CorruptRecord` for a payload that was changed.
    """
    if is_replaced(record):
        prove(decode(record))
        return bytes(SALT_BYTES) + _payload(record, end)
    salted = record[end : end + SALT_BYTES] + _payload(record, end)
    if _sha256(salted).digest() != digest:
        raise CorruptRecord(CHANGED)
    return salted


def recorded(header: Header, cause: Cause, payload: bytes, event: Any, *, replaced: bool = False) -> Recorded:
    """Return `event` in the envelope that its header describes; `cause` was built from the same header."""
    return Recorded(
        header.position,
        header.stream,
        header.version,
        header.type,
        header.schema,
        header.recorded_at_ms,
        cause,
        payload,
        event,
        header.command_id,
        replaced=replaced,
    )


def _payload(record: bytes, end: int) -> bytes:
    """Return the payload of a record that is not erased, whose header ends there.

    One that was damaged and cannot be decompressed is returned with a mark: no digest and no class fits it.
    """
    if is_replaced(record):
        return record[end + _ORDER_BYTES :]
    stored = record[end + SALT_BYTES :]
    if not record[0] & _COMPRESSED_BIT:
        return stored
    try:
        return decompress(stored)
    except NotCompressed:
        return _DAMAGED_MARK + stored


def _header_end(record: bytes) -> int:
    end = _LENGTH_BYTES + (int.from_bytes(record[:_LENGTH_BYTES], "big") & _LENGTH_MASK)
    least = end + _ORDER_BYTES if len(record) > end and is_replaced(record) else end + SALT_BYTES
    if len(record) < least and not _is_erased(record, end):
        raise CorruptRecord(f"a record of {len(record)} bytes is shorter than its header says")
    return end


def _is_erased(record: bytes, end: int) -> bool:
    flagged = record[:1] and record[0] & (_COMPRESSED_BIT | _REPLACED_BIT)
    return len(record) == end + len(ERASED_MARK) and record.endswith(ERASED_MARK) and not flagged
