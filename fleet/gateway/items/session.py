"""The items of sessions, for every route and every live view.

An item is encoded once for all readers, and kept until one of the values that it is made of changes.
"""

from typing import NamedTuple

import msgspec

from fleet.actors.fleet import Fleet
from fleet.actors.usecases.removal import Ending
from fleet.core.instance.state import State as Instance
from fleet.core.session.activity import Activity
from fleet.core.session.state import State
from fleet.gateway.items.states import Surroundings, history_item, last_instance, session_detail, session_item
from fleet.gateway.items.workspaces import ended as ended_item
from fleet.limits import FLEET_ITEMS_CACHED
from fleet.projections.history_store import Snippet
from fleet.wire.items import Ended, HistoryItem, SessionDetail, SessionItem

_encode = msgspec.json.Encoder().encode


class _Encoded(NamedTuple):
    """An encoded item and what it was made of: frozen values, so the same objects give the same item."""

    state: State
    around: Surroundings
    body: bytes


class SessionItems:
    """Makes the items of one Fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._encoded: dict[str, _Encoded] = {}

    def item(self, state: State) -> SessionItem:
        """Return a session as it is now."""
        return session_item(state, self._around(state))

    def earlier(self, state: State, silent: Instance | None) -> SessionItem:
        """Return a session as it was; `silent` is its process, where that did not answer then."""
        return session_item(state, self._then(state, silent))

    def detail(self, state: State, ancestors: list[State], children: list[State]) -> SessionDetail:
        """Return a session as it is now, with those around it."""
        instance = (
            None if state.opencode.instance_id is None else self._fleet.views.instances.get(state.opencode.instance_id)
        )
        return session_detail(state, self._around(state), ancestors, children, instance)

    def earlier_detail(
        self, state: State, silent: Instance | None, ancestors: list[State], children: list[State]
    ) -> SessionDetail:
        """Return a session as it was, with those around it."""
        return session_detail(state, self._then(state, silent), ancestors, children)

    def found(self, state: State, snippet: Snippet | None) -> HistoryItem:
        """Return a session of the history."""
        return history_item(state, self._around(state), snippet)

    def ended(self, ending: Ending) -> Ended:
        """Return the answer to a terminate."""
        return ended_item(ending, None if ending.erased else self.item(ending.session))

    def encoded(self, state: State) -> bytes:
        """Return the item as JSON: the same bytes again as long as nothing has changed."""
        around, known = self._around(state), self._encoded.pop(state.id, None)
        if known is None or known.state is not state or known.around != around:
            known = _Encoded(state, around, _encode(session_item(state, around)))
            if len(self._encoded) >= FLEET_ITEMS_CACHED:
                del self._encoded[next(iter(self._encoded))]
        self._encoded[state.id] = known
        return known.body

    def forget(self, session_id: str) -> None:
        """Keep nothing of a session that was erased."""
        self._encoded.pop(session_id, None)

    def _around(self, state: State) -> Surroundings:
        fleet = self._fleet
        instance_id = None if state.ended_at_ms is not None else last_instance(state)
        instance = None if instance_id is None else fleet.views.instances.get(instance_id)
        silent = instance if instance is not None and instance.phase == "unreachable" else None
        workspace = None if state.ended_at_ms is not None else fleet.views.workspaces.get(state.workspace_id)
        lost = workspace if workspace is not None and workspace.fault is not None else None
        return Surroundings(self._activity(state), silent, fleet.model_limits.of(state), fleet.rehearsal, lost)

    def _activity(self, state: State) -> Activity | None:
        return self._fleet.inflight.activities.now(state.id) if state.turn is not None else None

    def _then(self, state: State, silent: Instance | None) -> Surroundings:
        return Surroundings(
            silent=silent, context_limit=self._fleet.model_limits.of(state), rehearsal=self._fleet.rehearsal
        )
