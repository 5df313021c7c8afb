"""A check of the doctor: its subject, its result, and what to do."""

from typing import Final, Literal

import msgspec

from fleet.limits import MIB

DISK_FREE_BYTES_COMFORTABLE: Final = 1024 * MIB
"""Below, a few clones and a day of events fill the disk."""

State = Literal["ok", "warning", "failed"]


class Check(msgspec.Struct, frozen=True):
    """One check: its subject, its result, and what to do if it is not ok. Fleet works in spite of a warning."""

    name: str
    state: State
    detail: str
    advice: str = ""


def healthy(checks: tuple[Check, ...]) -> bool:
    """Return whether no check has failed."""
    return all(check.state != "failed" for check in checks)
