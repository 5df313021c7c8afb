"""Creates identifiers in their formats.

Pure functions of a time and random bits, so that tests choose both. The `Ids` port (fleet/ports) is where a running
Fleet gets them from; adapters/ids.py supplies clock and randomness.
"""

from typing import Literal
from uuid import UUID

OpenCodePrefix = Literal["ses", "msg", "prt"]

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
OPENCODE_RANDOM_BITS = 84
"""Random bits that `opencode_id` spends on its 14 base62 digits (62**14 < 2**84)."""


def uuid7(unix_ms: int, random_bits: int) -> str:
    """Return a UUID version 7 (RFC 9562, 5.7) as text: 48 bits of `unix_ms`, then 74 of `random_bits`.

    Ids made later sort later, at millisecond resolution.
    """
    rand_a = (random_bits >> 62) & 0xFFF
    rand_b = random_bits & ((1 << 62) - 1)
    value = (unix_ms & ((1 << 48) - 1)) << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b
    return str(UUID(int=value))


def opencode_id(prefix: OpenCodePrefix, unix_ms: int, counter: int, random_bits: int) -> str:
    """Return an id in OpenCode's own ascending format: `msg_` + 12 hex digits + 14 base62 digits.

    The hex digits are `(unix_ms * 4096 + counter) mod 2**48`. OpenCode up to 1.18.10 orders the messages of a turn by
    id, so one that is ahead of the clock makes it call the model without end: make an id right before it is first sent.
    """
    ascending = (unix_ms * 0x1000 + counter) & 0xFFFF_FFFF_FFFF
    return f"{prefix}_{ascending:012x}{base62(random_bits)}"


def base62(bits: int) -> str:
    """Return the last 14 base62 digits of an OpenCode id."""
    digits: list[str] = []
    for _ in range(14):
        bits, digit = divmod(bits, 62)
        digits.append(_BASE62[digit])
    return "".join(digits)
