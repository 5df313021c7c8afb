"""The sessions that have changed since a position, for a reader that reconnects to the fleet view.

A session's item shows more than its own events: the part in flight, an unresponsive process, the limit of its model. A
change of these has no position and counts as the next one. Nothing is kept across a restart; after it, a reader that
reconnects gets all sessions again.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple, Protocol

from fleet.core.session.state import State
from fleet.core.workspace.events import LeftoversRemoved, WorkspaceLookedAt, WorkspaceReady, WorkspaceRestored
from fleet.events.envelope import Recorded
from fleet.events.log import Log
from fleet.limits import FLEET_ERASED_MAX
from fleet.projections.activities import Activities
from fleet.projections.views import Views

_SHOWN: Final = (LeftoversRemoved, WorkspaceLookedAt, WorkspaceReady, WorkspaceRestored)


class TouchedFollower(Protocol):
    """Gets each change immediately."""

    def touched(self, session_id: str, position: int) -> None:
        """Called when a session has changed at this position, or was erased."""
        ...

    def others(self) -> None:
        """Called when something else in the inbox has changed: a webhook."""
        ...


class Since(NamedTuple):
    """Ids of the sessions that have changed since a position, and of those that were erased."""

    changed: Sequence[str]
    erased: Sequence[str]


class Touched:
    """Keeps the position of each session's newest change since the start. `activities` has the parts in flight."""

    def __init__(self, log: Log, views: Views, activities: Activities) -> None:
        self._log = log
        self._views = views
        self._position = self._complete_after = log.head()
        self._changed: dict[str, int] = {}
        self._erased: dict[str, int] = {}
        self._silent: set[str] = set()
        self._followers: dict[TouchedFollower, None] = {}
        activities.changed = self.touch
        log.listen(self._on_commit)

    def since(self, after: int) -> Since | None:
        """Return the changes beyond position `after`, None where that is too old or not a position of this log."""
        if not self._complete_after < after <= self._position:
            return None
        changed = [session_id for session_id, position in self._changed.items() if position > after]
        return Since(changed, [session_id for session_id, position in self._erased.items() if position > after])

    @contextmanager
    def follow(self, follower: TouchedFollower) -> Generator[None]:
        """Notify `follower` of each change while the block runs."""
        self._followers[follower] = None
        try:
            yield
        finally:
            del self._followers[follower]

    def touch(self, session_id: str) -> None:
        """Record that a session's item has changed for a reason that is not in the log."""
        self._note(session_id, self._position + 1)

    def touch_where(self, concerns: Callable[[State], bool]) -> None:
        """Record the same for all sessions for which `concerns` is true."""
        for state in self._views.sessions:
            if concerns(state):
                self.touch(state.id)

    # ----------------------------------------------------------------------------------------------------- the commits

    def _on_commit(self, commit: Sequence[Recorded]) -> None:
        missed = commit[0].position - self._position - 1
        if missed > 0:  # the writer failed after a commit, before it called its listeners
            self._take(self._log.read_all(self._position, missed))
        self._take(commit)

    def _take(self, events: Iterable[Recorded]) -> None:
        for recorded in events:
            self._position = recorded.position
            kind, _, aggregate_id = recorded.stream.partition("-")
            if kind == "session":
                self._note(aggregate_id, recorded.position)
            elif kind == "instance":
                self._note_instance(aggregate_id, recorded.position)
            elif kind == "workspace" and isinstance(recorded.event, _SHOWN):
                self._note_workspace(aggregate_id, recorded.position)
            elif kind == "webhook":
                for follower in self._followers:
                    follower.others()

    def _note_instance(self, instance_id: str, position: int) -> None:
        """Note the sessions of a process: their items show whether it responds."""
        instance = self._views.instances.get(instance_id)
        was_silent = instance_id in self._silent
        if instance is not None and instance.phase == "unreachable":
            self._silent.add(instance_id)
        else:
            self._silent.discard(instance_id)
        if was_silent or instance_id in self._silent:
            for state in self._views.sessions:
                if instance_id in state.opencode.instance_ids:
                    self._note(state.id, position)

    def _note_workspace(self, workspace_id: str, position: int) -> None:
        """Note the sessions of a workspace: their items show whether its checkout is missing, and what came back."""
        for state in self._views.sessions:
            if state.workspace_id == workspace_id:
                self._note(state.id, position)

    def _note(self, session_id: str, position: int) -> None:
        if self._views.sessions.get(session_id) is None:
            self._changed.pop(session_id, None)
            self._erased[session_id] = position
            if len(self._erased) > FLEET_ERASED_MAX:
                oldest = next(iter(self._erased))
                self._complete_after = max(self._complete_after, self._erased.pop(oldest))
        else:
            self._changed[session_id] = position
        for follower in self._followers:
            follower.touched(session_id, position)
