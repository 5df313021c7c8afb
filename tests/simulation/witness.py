"""Sees each turn being reported as finished, and whether the head has its work at that moment.

What an agent has written on another machine is known from that machine. The head has it when a tree, and the work that
is kept of the workspace, contain it on the head's own disk.
"""

from collections.abc import Sequence

from fleet.core.session.turn_events import TurnEnded, TurnStarted, TurnSteered
from fleet.events.envelope import Recorded
from tests.fakes.cluster import FakeCluster
from tests.fakes.opencode_turn import Written


class Witness:
    """The complaints about turns that were reported too early, and the messages of all turns that were reported."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.complaints: list[str] = []
        self.reported: set[str] = set()
        self._cluster = cluster
        self._messages: dict[tuple[str, int], list[str]] = {}

    def see(self, commit: Sequence[Recorded]) -> None:
        """Look at a commit when it is durable, before anything else happens."""
        for recorded in commit:
            event = recorded.event
            if isinstance(event, TurnStarted | TurnSteered):
                self._messages.setdefault((recorded.stream, event.number), []).append(event.message_id)
            elif isinstance(event, TurnEnded) and event.outcome == "finished":
                self.reported.update(self._messages.get((recorded.stream, event.number), ()))
                self._look(recorded.stream, event.number)

    def _look(self, stream: str, number: int) -> None:
        messages = self._messages.get((stream, number), ())
        for node in self._cluster.nodes:
            for written in node.world.written:
                if written.message_id in messages:
                    self._require(stream, number, written)

    def _require(self, stream: str, number: int, written: Written) -> None:
        head = self._cluster.local.disk
        trees = [files for of_workspace in head.trees.values() for files in of_workspace.values()]
        places = {"a tree": trees, "the kept work": [kept.contents for kept in head.kept.values()]}
        for name, contents in places.items():
            if not any(files.get(written.name) == written.content for files in contents):
                self.complaints.append(f"{stream}: turn {number} is finished, and {name} on the head lacks its work")
