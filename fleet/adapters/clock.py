"""The system's wall clock. Durations and deadlines are trio's; a rehearsed clock is in tests/fakes/clock.py."""

import time


class SystemClock:
    """Wall time of this machine; it may step back when the machine's clock is set."""

    def now_ms(self) -> int:
        """Return the Unix time in milliseconds."""
        return time.time_ns() // 1_000_000
