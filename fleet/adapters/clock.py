"""The system's wall clock. Durations and deadlines use trio's clock; tests/fakes/clock.py has a fake."""

import time


class SystemClock:
    """Wall time of this machine; it may step back when the machine's clock is set."""

    def now_ms(self) -> int:
        """Return the Unix time in milliseconds."""
        return time.time_ns() // 1_000_000
