"""The store of views in memory: like the one on disk it outlives the runner."""

from collections.abc import Collection, Iterator, Mapping

from fleet.events.batch import LogEnd
from fleet.events.seals import DigestAt
from fleet.projections.store import Look, StoredRows


class MemoryStore:
    """A `ViewStore` in memory."""

    def __init__(self) -> None:
        self._views: dict[str, tuple[str, int, dict[str, bytes]]] = {}

    def load(self, view: str, fingerprint: str, digest_at: DigestAt) -> tuple[int, Iterator[tuple[str, bytes]]]:
        """Return the checkpoint and the rows, by key; (0, nothing) where there are none of this fingerprint."""
        written_by, checkpoint, rows = self._views.get(view, ("", 0, {}))
        return (checkpoint, iter(sorted(rows.items()))) if written_by == fingerprint else (0, iter(()))

    def look(self, view: str, fingerprint: str, digest_at: DigestAt) -> Look:
        """See `ViewStore`. There are no seals."""
        yield
        return StoredRows(*self.load(view, fingerprint, digest_at))

    def save(
        self, view: str, fingerprint: str, checkpoint: LogEnd, rows: Mapping[str, bytes], gone: Collection[str] = ()
    ) -> None:
        """See `ViewStore`."""
        written_by, _, known = self._views.get(view, ("", 0, {}))
        kept = known if written_by == fingerprint else {}
        left = {key: row for key, row in kept.items() if key not in gone}
        self._views[view] = (fingerprint, checkpoint.position, {**left, **rows})
