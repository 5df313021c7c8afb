"""The inbox view: the whole inbox, sent after each change, encoded once for all readers.

The inbox is short, so a reader replaces what it holds. For a slow reader only the newest one is kept.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import msgspec
import trio

from fleet.actors.fleet import Fleet
from fleet.gateway.items.inbox import inbox_items, waits
from fleet.limits import FLEET_ITEM_INTERVAL_S

_encode = msgspec.json.Encoder().encode


class InboxView:
    """Watches the inbox, and notifies its readers. `run` has to run."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._readers: dict[InboxReader, None] = {}
        self._shown: set[str] = set()  # sessions of which something waits
        self._changed = trio.Event()

    async def run(self) -> None:
        """Notify readers of changes until it is cancelled, at most once in `FLEET_ITEM_INTERVAL_S`."""
        with self._fleet.touched.follow(self):
            while True:
                await self._changed.wait()
                self._changed = trio.Event()
                if self._readers:
                    body, position = self._body(), self._fleet.log.head()
                    for reader in self._readers:
                        reader.put(body, position)
                await trio.sleep(FLEET_ITEM_INTERVAL_S)

    @contextmanager
    def read(self, wake: Callable[[], None]) -> Generator["InboxReader"]:
        """Read the inbox; `wake()` is called when it has changed."""
        reader = InboxReader(wake)
        reader.put(self._body(), self._fleet.log.head())
        self._readers[reader] = None
        try:
            yield reader
        finally:
            del self._readers[reader]

    @property
    def readers(self) -> int:
        """How many readers there are."""
        return len(self._readers)

    def _body(self) -> bytes:
        items = inbox_items(self._fleet)
        self._shown = {item.session_id for item in items if item.session_id is not None}
        return _encode(items)

    # ---------------------------------------------------------------------------------------------------- a `Follower`

    def touched(self, session_id: str, position: int) -> None:  # noqa: ARG002 - the whole inbox is sent
        """A session has changed, which concerns the inbox where something of it waits or did so."""
        state = self._fleet.views.sessions.get(session_id)
        if session_id in self._shown or (state is not None and waits(state)):
            self._changed.set()

    def others(self) -> None:
        """A webhook has changed."""
        self._changed.set()


class InboxReader:
    """One reader of the inbox. Its frames are `inbox` and, once, `live`; `drain` gives them."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._newest = b""
        self._waiting: int | None = None
        self._live = False

    def put(self, body: bytes, position: int) -> None:
        """Take the inbox as it is at this position, unless it is still the same."""
        if body != self._newest:
            self._newest, self._waiting = body, position
            self._wake()

    @property
    def lags(self) -> int | None:
        """It cannot fall behind."""
        return None

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return self._waiting is None

    def drain(self, named: bytes) -> list[bytes]:
        """Return the frames that wait; `named` is the subscription's id as JSON."""
        if self._waiting is None:
            return []
        position, self._waiting = self._waiting, None
        frames = [b'{"type":"inbox","id":%s,"position":%d,"items":%s}' % (named, position, self._newest)]
        if not self._live:
            self._live = True
            frames.append(b'{"type":"live","id":%s,"position":%d}' % (named, position))
        return frames
