"""Payloads are compressed on disk alone: readers, digests and exports have the plain payload, and damage is found."""

import hashlib
import zlib

import msgspec
import pytest

from fleet.events import codec
from fleet.events.compression import NotCompressed, compress, decompress
from fleet.events.dictionary import DICTIONARY
from fleet.limits import COMPRESSED_BYTES_MAX, COMPRESSED_BYTES_MIN, EVENT_BYTES_MAX

SALT = bytes(range(16))
OUTPUT = msgspec.json.encode({"at_ms": 1, "type": "tool", "body": {"output": "case 7 of the suite: passed\n" * 500}})
PART = (
    b'{"at_ms":1795964762791,"part_id":"prt_227d77a96001AdV2jqjXoGLwrI","message_id":"msg_227d76750001i0s7fGOsMxLbyi",'
    b'"type":"step-finish","body":{"cost":0.002506,"id":"prt_227d77a96001AdV2jqjXoGLwrI","messageID":"msg_227d76750001i0'
    b's7fGOsMxLbyi","reason":"tool-calls","sessionID":"ses_227d733bc000Gz8QttJwGj5aIk","snapshot":"51133cf019881957581c6'
    b'88ed88c11118dc1839a","tokens":{"cache":{"read":0,"write":0},"input":2426,"output":16,"reasoning":0,"total":2442},"t'
    b'ype":"step-finish"},"opencode_id":"ses_227d733bc000Gz8QttJwGj5aIk"}'
)
"""A payload as OpenCode's events make it."""
PAYLOADS = [b"{}", PART, OUTPUT, OUTPUT * 4, b'"' + bytes(range(35, 91)) * 20 + b'"', "日本語".encode() * 200]


def header(payload: bytes) -> codec.Header:
    digest = codec.digest_payload(SALT, payload)
    return codec.Header("a.b", 1, 1, "a-1", 1, 5, "local", None, None, None, b"", digest, codec.GENESIS_DIGEST)


def encoded(payload: bytes) -> bytes:
    return codec.encode(header(payload), SALT, payload)[0]


@pytest.mark.parametrize("payload", PAYLOADS, ids=len)
def test_a_payload_is_read_as_it_was_written(payload: bytes) -> None:
    record = codec.decode(encoded(payload))
    assert (record.payload, record.salt, record.header) == (payload, SALT, header(payload))


def test_payloads_are_compressed_where_it_pays() -> None:
    assert len(encoded(OUTPUT)) < len(OUTPUT) / 20
    assert len(encoded(PART)) - len(encoded(b"{}")) < len(PART) / 2
    assert compress(b"x" * (COMPRESSED_BYTES_MIN - 1)) is None
    assert compress(hashlib.shake_256(b"").digest(COMPRESSED_BYTES_MIN)) is None
    assert compress(b"x" * COMPRESSED_BYTES_MAX) is not None
    assert compress(b"x" * (COMPRESSED_BYTES_MAX + 1)) is None


def test_a_record_without_compression_is_read() -> None:
    """As the first format of the log has it."""
    head = codec.header_bytes(encoded(PART))
    plain = len(head).to_bytes(4, "big") + head + SALT + PART
    assert codec.decode(plain) == codec.decode(encoded(PART))


def test_an_erased_record_keeps_nothing_of_a_compressed_payload() -> None:
    erased = codec.erase(encoded(PART))
    assert codec.decode(erased).erased
    assert erased == codec.erase(len(codec.header_bytes(erased)).to_bytes(4, "big") + codec.header_bytes(erased) + SALT)


def is_found(damaged: bytes) -> bool:
    try:
        record = codec.decode(damaged)
    except codec.CorruptRecord:
        return True
    return codec.digest_payload(record.salt, record.payload) != record.header.payload_digest


def test_each_changed_bit_of_a_compressed_payload_is_found() -> None:
    for payload in (PART, OUTPUT):
        record = encoded(payload)
        start = 4 + len(codec.header_bytes(record)) + codec.SALT_BYTES
        for at in range(start * 8, len(record) * 8):
            flipped = bytearray(record)
            flipped[at // 8] ^= 1 << at % 8
            assert is_found(bytes(flipped))


def test_the_flag_of_compression_is_covered_too() -> None:
    for record in (encoded(PART), encoded(b"{}"), codec.erase(encoded(PART))):
        assert is_found(bytes((record[0] ^ 0x80,)) + record[1:])


def test_a_payload_of_any_size_is_refused() -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=DICTIONARY)
    stream = deflate.compress(b"0" * (EVENT_BYTES_MAX + 1)) + deflate.flush()
    bomb = stream + zlib.crc32(stream).to_bytes(4, "big")
    assert bomb is not None
    with pytest.raises(NotCompressed, match="too long"):
        decompress(bomb)


def test_the_dictionary_is_part_of_the_format() -> None:
    """Another one is a new format: with a changed byte here no payload of an existing log could be read."""
    assert hashlib.sha256(DICTIONARY).hexdigest() == "ab7053f1ea3333abbe4f1d89705e479bdaebab6c835c68042e4c09d502f024b6"
