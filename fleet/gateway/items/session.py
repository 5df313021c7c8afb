"""The items of sessions, for every route and every live view.

An item is encoded once for all readers, and kept until one of the values that it is made of changes.
"""

import msgspec

from fleet.actors.fleet import Fleet
from fleet.actors.usecases.removal import Ending
from fleet.core.session.state import State
from fleet.gateway.items.states import Surroundings, history_item, last_instance, session_detail, session_item
from fleet.gateway.items.workspaces import ended as ended_item
from fleet.limits import FLEET_ITEMS_CACHED, SESSION_DETAILS_CACHED
from fleet.projections.history_page import Snippet
from fleet.wire.items import Ended, HistoryItem, SessionDetail, SessionItem

_encode = msgspec.json.Encoder().encode


class _Cache:
    """The items of sessions that were encoded last, `size` of them at most.

    They are made of frozen values, so the same values give the same item.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: dict[str, tuple[tuple[object, ...], bytes]] = {}

    def find(self, session_id: str, made_of: tuple[object, ...]) -> bytes | None:
        """Return the item that is made of this, None where it has to be made."""
        known = self._kept.get(session_id)
        return known[1] if known is not None and known[0] == made_of else None

    def keep(self, session_id: str, made_of: tuple[object, ...], item: object) -> bytes:
        """Encode and return an item; the one that was encoded longest ago goes for it."""
        body = _encode(item)
        self._kept.pop(session_id, None)
        if len(self._kept) >= self._size:
            del self._kept[next(iter(self._kept))]
        self._kept[session_id] = made_of, body
        return body

    def forget(self, session_id: str) -> None:
        """Keep nothing of a session."""
        self._kept.pop(session_id, None)

    def clear(self) -> None:
        """Keep nothing."""
        self._kept.clear()


class SessionItems:
    """Makes the items of one Fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._items = _Cache(FLEET_ITEMS_CACHED)
        self._details = _Cache(SESSION_DETAILS_CACHED)

    def item(self, state: State) -> SessionItem:
        """Return a session as it is now."""
        return session_item(state, self._around(state))

    def earlier(self, state: State, then: Surroundings) -> SessionItem:
        """Return a session as it was."""
        return session_item(state, self._then(state, then))

    def earlier_detail(
        self, state: State, then: Surroundings, ancestors: list[State], children: list[State]
    ) -> SessionDetail:
        """Return a session as it was, with those around it."""
        return session_detail(state, self._then(state, then), ancestors, children)

    def found(self, state: State, snippet: Snippet | None) -> HistoryItem:
        """Return a session of the history."""
        return history_item(state, self._around(state), snippet)

    def ended(self, ending: Ending) -> Ended:
        """Return the response to the end of a session."""
        return ended_item(ending, None if ending.erased else self.item(ending.session))

    def encoded(self, state: State) -> bytes:
        """Return the item as JSON: the same bytes again as long as nothing has changed."""
        made_of = (state, around := self._around(state))
        known = self._items.find(state.id, made_of)
        return self._items.keep(state.id, made_of, session_item(state, around)) if known is None else known

    def detail(self, state: State, ancestors: list[State], children: list[State]) -> bytes:
        """Return a session as it is now, with those around it, as JSON; likewise."""
        around = self._around(state)
        instance = (
            None if state.opencode.instance_id is None else self._fleet.views.instances.get(state.opencode.instance_id)
        )
        made_of = (state, around, instance, len(ancestors), *ancestors, *children)
        known = self._details.find(state.id, made_of)
        if known is not None:
            return known
        return self._details.keep(state.id, made_of, session_detail(state, around, ancestors, children, instance))

    def forget(self, session_id: str) -> None:
        """Keep nothing of a session that was erased, nor of it in what others show."""
        self._items.forget(session_id)
        self._details.clear()

    def _around(self, state: State) -> Surroundings:
        fleet = self._fleet
        activity = None if state.turn is None else fleet.inflight.activities.now(state.id)
        limit = fleet.model_limits.of(state)
        workspace = fleet.views.workspaces.get(state.workspace_id)
        host = None if workspace is None or workspace.spec is None else workspace.spec.host
        returned = () if workspace is None else workspace.returned
        if state.ended_at_ms is not None:
            return Surroundings(activity, None, limit, fleet.rehearsal, None, host, returned)
        instance_id = last_instance(state)
        instance = None if instance_id is None else fleet.views.instances.get(instance_id)
        silent = instance if instance is not None and instance.phase == "unreachable" else None
        lost = workspace if workspace is not None and workspace.fault is not None else None
        return Surroundings(activity, silent, limit, fleet.rehearsal, lost, host, returned)

    def _then(self, state: State, then: Surroundings) -> Surroundings:
        return then._replace(context_limit=self._fleet.model_limits.of(state), rehearsal=self._fleet.rehearsal)
