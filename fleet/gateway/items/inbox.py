"""The items of the inbox: requests, failures, budgets, delays, callbacks and webhooks that wait for a person."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import msgspec

from fleet.actors.fleet import Fleet
from fleet.core.session.state import NotificationKind, Request, State, is_held, is_long_delayed
from fleet.core.times import rfc3339
from fleet.core.webhook import state as webhook
from fleet.gateway.items.cuts import cut_part
from fleet.gateway.items.states import repository_of, request_item, setup_item
from fleet.wire.enums import InboxKind
from fleet.wire.inbox import InboxContext, InboxItem


def inbox_items(fleet: Fleet) -> list[InboxItem]:
    """Return everything that waits for a person, oldest first."""
    return _sorted(fleet.views.sessions, fleet.views.webhooks, partial(_tool, fleet))


async def inbox_items_at(fleet: Fleet, at: int) -> list[InboxItem]:
    """Return everything that waited for a person at a log position, oldest first; calls that ran then are not known."""
    sessions, webhooks = await fleet.past.sessions.all(at), await fleet.past.webhooks.all(at)
    return _sorted(sessions, webhooks, lambda _, __: None)


_NO_CALL: Final = msgspec.Raw(b"null")
Tool = Callable[[State, Request], msgspec.Raw | None]
"""Returns the call that a request is about."""


def _sorted(sessions: Iterable[State], webhooks: Iterable[webhook.State], tool: Tool) -> list[InboxItem]:
    found = [item for state in sessions if waits(state) for item in _items(state, tool)]
    found += [_failed_webhook(state) for state in webhooks if state.failed]
    return sorted(found, key=lambda item: (item.at, item.id))


def waits(state: State) -> bool:
    """Return whether something of this session waits for a person."""
    return (
        any(request.answer is None for request in state.requests)
        or (state.phase != "stopped" and (state.failure is not None or state.usage.exceeded is not None))
        or any(callback.status == "undelivered" for callback in state.callbacks.sent)
        or is_held(state)
        or is_long_delayed(state)
    )


def _items(state: State, tool: Tool) -> list[InboxItem]:
    items = [_request(state, request, tool) for request in state.requests if request.answer is None]
    if is_held(state) and state.setup is not None:
        item = _item("setup", state, f"setup:{state.setup.recipe.digest}", state.setup.started_at_ms, state.evidence)
        item.setup = setup_item(state.setup)
        items.append(item)
    if state.failure is not None and state.phase != "stopped":
        at_ms = state.failure.at_ms
        items.append(_item("failure", state, f"failure:{at_ms}", at_ms, state.failure.detail))
    if state.usage.exceeded is not None and state.phase != "stopped":
        at_ms = _notified_at_ms(state, "budget")
        items.append(_item("budget", state, f"budget:{at_ms}", at_ms, state.usage.exceeded))
    if state.turn is not None and is_long_delayed(state):
        at_ms = _notified_at_ms(state, "delayed")
        items.append(_item("delay", state, f"delay:{state.turn.number}", at_ms, state.turn.delay))
    items += [
        _item("callback", state, f"callback:{callback.number}", callback.at_ms, callback.reason)
        for callback in state.callbacks.sent
        if callback.status == "undelivered"
    ]
    return items


def _notified_at_ms(state: State, kind: NotificationKind) -> int:
    """Return when a person was last notified like this. The list of notifications is bounded."""
    times = [notification.at_ms for notification in state.notifications if notification.kind == kind]
    return times[-1] if times else state.since_ms


def _request(state: State, request: Request, tool: Tool) -> InboxItem:
    item = _item(request.kind, state, request.id, request.opened_at_ms, state.evidence)
    item.request = request_item(request)
    item.context = _context(state, tool(state, request))
    return item


def _item(kind: InboxKind, state: State, key: str, at_ms: int, detail: str) -> InboxItem:
    return InboxItem(
        id=f"{state.id}:{key}",
        kind=kind,
        session_id=state.id,
        title=state.settings.title,
        at=rfc3339(at_ms),
        detail=detail,
        request=None,
        webhook_id=None,
        context=_context(state, None),
    )


def _context(state: State, tool: msgspec.Raw | None) -> InboxContext:
    return InboxContext(
        turn=state.turns or None,
        prompt=state.asked or None,
        directory=state.directory,
        repository=repository_of(state),
        branch=state.settings.branch,
        tool=_NO_CALL if tool is None else tool,
    )


class _Call(msgspec.Struct):
    callID: str  # noqa: N815 - OpenCode's spelling


class _Asked(msgspec.Struct):
    tool: _Call


def _tool(fleet: Fleet, state: State, request: Request) -> msgspec.Raw | None:
    """Return the call that the request is about, where OpenCode names it and it is still in flight."""
    try:
        call_id = msgspec.json.decode(request.body, type=_Asked).tool.callID
    except msgspec.DecodeError:
        return None
    part = fleet.inflight.call(state.id, call_id)
    return None if part is None else cut_part(part)


def _failed_webhook(state: webhook.State) -> InboxItem:
    return InboxItem(
        id=f"webhook:{state.id}:{state.since_ms}",
        kind="webhook",
        session_id=None,
        title=state.description or state.origin,
        at=rfc3339(state.since_ms),
        detail=state.reason,
        request=None,
        webhook_id=state.id,
        context=None,
    )
