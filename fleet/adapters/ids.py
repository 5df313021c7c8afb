"""Creates identifiers from the clock and randomness. fleet/ids.py has their formats.

UUIDs of one process ascend, even within a millisecond and when the clock steps back. OpenCode ids ascend and are never
ahead of the clock. When a clock that stepped back makes both impossible, the second rule wins: an id ahead of the clock
makes older versions of OpenCode call the model endlessly, a late one is harmless.
"""

import secrets
from collections.abc import Callable

from fleet.ids import OPENCODE_RANDOM_BITS, OpenCodePrefix, opencode_id, uuid7
from fleet.ports import Clock

_UUID_RANDOM_BITS = 74
_OPENCODE_COUNTER_MAX = 0xFFF


class SystemIds:
    """The `Ids` port. Use it only in trio's thread.

    `random_bits(k)` returns k random bits; the default is the operating system's.
    """

    def __init__(self, clock: Clock, random_bits: Callable[[int], int] = secrets.randbits) -> None:
        self._clock = clock
        self._random_bits = random_bits
        self._uuid_ms = -1
        self._uuid_bits = 0
        self._opencode_ms = -1
        self._opencode_counter = 0

    def uuid7(self) -> str:
        """Return a UUID version 7 with the current time that sorts after all earlier ones."""
        now_ms = self._clock.now_ms()
        if now_ms > self._uuid_ms:
            self._uuid_ms = now_ms
            # The highest bit stays clear to leave room for counting within the millisecond.
            self._uuid_bits = self._random_bits(_UUID_RANDOM_BITS - 1)
        else:
            self._uuid_bits += 1
        return uuid7(self._uuid_ms, self._uuid_bits)

    def opencode(self, prefix: OpenCodePrefix) -> str:
        """Return an id in OpenCode's format that is not ahead of the clock.

        It sorts after the earlier ones, unless the clock stepped back or the format's 48 bits wrapped (every 795 days).
        The 4097th id of a millisecond waits for the next millisecond in a busy loop.
        """
        now_ms = self._clock.now_ms()
        while now_ms == self._opencode_ms and self._opencode_counter == _OPENCODE_COUNTER_MAX:
            now_ms = self._clock.now_ms()
        self._opencode_counter = self._opencode_counter + 1 if now_ms == self._opencode_ms else 0
        self._opencode_ms = now_ms
        return opencode_id(prefix, now_ms, self._opencode_counter, self._random_bits(OPENCODE_RANDOM_BITS))
