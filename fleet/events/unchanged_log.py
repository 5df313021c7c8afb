"""The log of a read-only server: `Log` on a log that is only read. It refuses appends, and has no commits to report."""

from typing import Any, NoReturn

from fleet.errors import Unavailable
from fleet.events.envelope import StateSnapshot
from fleet.events.log import Listener, LogStatistics
from fleet.events.registry import EventRegistry
from fleet.events.seals import Sealer
from fleet.events.stored_log import RecordStore, StoredLog


class UnchangedLog(StoredLog):
    """A `Log` that nothing changes. `sealer` is None where the key of the directory cannot be read."""

    def __init__(self, store: RecordStore, registry: EventRegistry, sealer: Sealer | None = None) -> None:
        super().__init__(store, registry)
        self.sealer = sealer

    async def append(self, *_: Any, **__: Any) -> NoReturn:
        """Raise `Unavailable` read_only_server."""
        raise _refusal()

    async def erase(self, *_: Any, **__: Any) -> NoReturn:
        """Raise `Unavailable` read_only_server."""
        raise _refusal()

    def listen(self, listener: Listener) -> None:
        """Do nothing: there is no commit."""

    def statistics(self) -> LogStatistics:
        """See `Log`."""
        return LogStatistics(0, 0, 0, 0)

    def save_snapshot(self, stream: str, snapshot: StateSnapshot) -> None:
        """Do nothing: snapshots are disposable."""

    def keep_snapshot(self, stream: str, snapshot: StateSnapshot) -> None:
        """Do nothing: likewise."""


def _refusal() -> Unavailable:
    return Unavailable("read_only_server", "this server reads its data directory and changes nothing")
