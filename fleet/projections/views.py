"""The views: the current states of each kind of aggregate, with the indexes that their readers need."""

from bisect import bisect_left, insort
from typing import NamedTuple

from fleet.core import hosts, server, trust
from fleet.core import workspace_roots as roots
from fleet.core.instance import state as instance_state
from fleet.core.instance.decide import INSTANCE
from fleet.core.paths import are_nested
from fleet.core.session import decide as session
from fleet.core.session import state as session_state
from fleet.core.webhook import state as webhook_state
from fleet.core.webhook.decide import WEBHOOK
from fleet.core.workspace.decide import WORKSPACE
from fleet.core.workspace.state import State
from fleet.projections.states import States


class Sessions(States[session_state.State]):
    """Sessions, found by Fleet's id or by OpenCode's, in the order of their ids, and by their parent."""

    def __init__(self) -> None:
        super().__init__(session.SESSION, session_state.State)
        self._by_opencode: dict[str, str] = {}
        self._oldest_first: list[str] = []
        self._children: dict[str, dict[str, None]] = {}

    def newest(self, offset: int, limit: int) -> list[session_state.State]:
        """Return a page of all sessions, newest first."""
        end = max(0, len(self._oldest_first) - offset)
        page = self._oldest_first[max(0, end - limit) : end]
        return [self._states[session_id] for session_id in reversed(page)]

    def children(self, session_id: str) -> list[session_state.State]:
        """Return the sessions that report to this one, which may be erased."""
        return [self._states[child] for child in self._children.get(session_id, ())]

    def find(self, any_id: str) -> session_state.State | None:
        """Return the session with this Fleet id or OpenCode id."""
        return self.get(self._by_opencode.get(any_id, any_id))

    def index(self, aggregate_id: str, state: session_state.State) -> None:
        """Keep the indexes as well."""
        if aggregate_id not in self._states:
            insort(self._oldest_first, aggregate_id)
            if state.settings.parent_id is not None:
                self._children.setdefault(state.settings.parent_id, {})[aggregate_id] = None
        super().index(aggregate_id, state)
        for opencode_id in (*state.opencode.earlier_session_ids, state.opencode.session_id):
            self._by_opencode[opencode_id] = aggregate_id

    def unindex(self, state: session_state.State, aggregate_id: str) -> None:
        """Keep the indexes as well."""
        super().unindex(state, aggregate_id)
        del self._oldest_first[bisect_left(self._oldest_first, aggregate_id)]
        siblings = self._children.get(state.settings.parent_id or "", {})
        siblings.pop(aggregate_id, None)
        if not siblings:
            self._children.pop(state.settings.parent_id or "", None)
        for opencode_id in (*state.opencode.earlier_session_ids, state.opencode.session_id):
            if self._by_opencode.get(opencode_id) == aggregate_id:
                del self._by_opencode[opencode_id]

    def clear(self) -> None:
        """Forget the indexes as well."""
        super().clear()
        self._by_opencode.clear()
        self._oldest_first.clear()
        self._children.clear()


class Instances(States[instance_state.State]):
    """Instances; few are alive at a time."""

    def __init__(self) -> None:
        super().__init__(INSTANCE, instance_state.State)
        self._alive: dict[str, instance_state.State] = {}

    def alive(self, key: str | None = None) -> list[instance_state.State]:
        """Return the instances that sessions can still be attached to, oldest first; `key` restricts them."""
        return [state for state in self._alive.values() if key is None or state.key == key]

    def index(self, aggregate_id: str, state: instance_state.State) -> None:
        """Keep the index as well."""
        super().index(aggregate_id, state)
        if state.phase in instance_state.OVER:
            self._alive.pop(aggregate_id, None)
        else:
            self._alive[aggregate_id] = state

    def unindex(self, state: instance_state.State, aggregate_id: str) -> None:
        """Keep the index as well."""
        super().unindex(state, aggregate_id)
        self._alive.pop(aggregate_id, None)

    def clear(self) -> None:
        """Forget the index as well."""
        super().clear()
        self._alive.clear()


class WorkspacesView(States[State]):
    """Workspaces. That of an `existing` directory can be found by its path, because sessions share it."""

    def __init__(self) -> None:
        super().__init__(WORKSPACE, State)
        self._existing: dict[str, str] = {}

    def existing(self, directory: str) -> State | None:
        """Return the workspace of this `existing` directory, if a session has used it before."""
        workspace_id = self._existing.get(directory)
        return None if workspace_id is None else self.get(workspace_id)

    def is_shared(self, directory: str) -> bool:
        """Return whether a session uses or has used this directory, one above or one below as an `existing` one."""
        return directory in self._existing or any(are_nested(directory, other) for other in self._existing)

    def index(self, aggregate_id: str, state: State) -> None:
        """Keep the index as well."""
        super().index(aggregate_id, state)
        if state.spec is not None and state.spec.strategy == "existing":
            self._existing[state.spec.directory] = aggregate_id

    def unindex(self, state: State, aggregate_id: str) -> None:
        """Keep the index as well."""
        super().unindex(state, aggregate_id)
        if state.spec is not None and self._existing.get(state.spec.directory) == aggregate_id:
            del self._existing[state.spec.directory]

    def clear(self) -> None:
        """Forget the index as well."""
        super().clear()
        self._existing.clear()


class WebhooksView(States[webhook_state.State]):
    """Webhooks that are not deleted."""

    def __init__(self) -> None:
        super().__init__(WEBHOOK, webhook_state.State)

    def apply_state(self, aggregate_id: str, state: webhook_state.State) -> None:
        """Remove a deleted webhook from the view; its events stay in the log."""
        if state.phase != "deleted":
            super().apply_state(aggregate_id, state)
        elif self.get(aggregate_id) is not None:
            self.unindex(state, aggregate_id)


class Views(NamedTuple):
    """The views of all kinds."""

    sessions: Sessions
    instances: Instances
    workspaces: WorkspacesView
    roots: States[roots.State]
    webhooks: WebhooksView
    trust: States[trust.State]
    server: States[server.State]
    hosts: States[hosts.State]


def make_views() -> Views:
    """Return empty views."""
    return Views(
        Sessions(),
        Instances(),
        WorkspacesView(),
        States(roots.ROOTS, roots.State),
        WebhooksView(),
        States(trust.TRUST, trust.State),
        States(server.SERVER, server.State),
        States(hosts.HOSTS, hosts.State),
    )
