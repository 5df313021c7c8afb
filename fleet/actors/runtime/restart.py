"""Restart intensity: how many restarts are allowed before a supervisor gives up. Pure: the supervisor has the clock."""


def permit_restart(
    restarts_s: tuple[float, ...], now_s: float, intensity: int, window_s: float
) -> tuple[float, ...] | None:
    """Return the restarts that count, including the one at `now_s`, or None if that exceeds the limit.

    `restarts_s` are the times of the earlier restarts, ascending. At most `intensity` of them are allowed within any
    `window_s` seconds; older ones are forgotten, so the result never holds more than `intensity`. After OTP's rule.
    """
    recent = tuple(at_s for at_s in restarts_s if now_s - at_s < window_s)
    return (*recent, now_s) if len(recent) < intensity else None
