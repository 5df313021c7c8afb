"""The routes for what waits for a person in all sessions: inbox, notifications, callbacks."""

from quart import Response

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.core.session.state import Callback, State
from fleet.core.times import rfc3339
from fleet.errors import Rejected
from fleet.gateway.items.inbox import inbox_items, inbox_items_at
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import NOTHING
from fleet.gateway.server.moments import Moment
from fleet.gateway.server.requests import derived, done, json_response, paged
from fleet.wire.bodies import CallbackQuery, NotificationQuery, PastQuery, ReadBody
from fleet.wire.callbacks import CallbackItem
from fleet.wire.inbox import Count, InboxItem, NotificationItem

endpoint = Endpoints("/api", "inbox")


@endpoint("GET /inbox", gives=list[InboxItem])
async def read_inbox(fleet: Fleet, query: PastQuery, moment: Moment | None) -> Response:
    """List everything that waits for a person, oldest first.

    Permission requests and questions without an answer, failures, budgets that are used up, callbacks that could
    not be delivered, and webhooks that were disabled because they failed. With `at` it is what waited then; what
    was erased or deleted since is left out, and so are the calls that requests were about.
    """
    position = fleet.log.head()
    if moment is None:
        return paged(inbox_items(fleet), query, None, position)
    found = await inbox_items_at(fleet, moment.position)
    return paged(found, query, None, position)


@endpoint("GET /callbacks", gives=list[CallbackItem])
async def list_callbacks(fleet: Fleet, query: CallbackQuery) -> Response:
    """List the callbacks of all sessions, oldest first.

    A callback is the prompt that tells a session the outcome of one that reports to it. `undelivered` ones
    are those that it cannot take; `reason` says why.
    """
    items = [
        _callback_item(state, callback)
        for state in fleet.views.sessions
        for callback in state.callbacks.sent
        if query.status is None or callback.status == query.status
    ]
    return paged(sorted(items, key=lambda item: item.at), query, None, fleet.log.head())


@endpoint("GET /notifications", gives=list[NotificationItem], refuses=("session_not_found", "erased", "erased"))
async def list_notifications(fleet: Fleet, query: NotificationQuery) -> Response:
    """List notifications, newest first.

    A notification tells a person about a change of a session, and is erased with it.
    """
    of = None if query.session is None else fleet.sessions.session(query.session).id
    found = [item for item in _notifications(fleet, of) if not (query.unread and item.read)]
    found.sort(key=lambda item: item.at, reverse=True)
    return paged(found, query, None, fleet.log.head())


@endpoint("GET /notifications/unread-count", gives=Count)
async def count_unread(fleet: Fleet) -> Response:
    """Count the unread notifications.

    Those of all sessions.
    """
    return json_response(Count(count=sum(not item.read for item in _notifications(fleet, None))))


@endpoint("POST /notifications/read", gives=NOTHING)
async def read_all_notifications(fleet: Fleet, caller: Caller) -> Response:
    """Mark all notifications as seen.

    Those of all sessions that are there now.
    """
    for state in list(fleet.views.sessions):
        if any(not notification.read for notification in state.notifications):
            await fleet.sessions.read_notifications(state.id, None, derived(caller, state.id))
    return done(fleet.log.head())


@endpoint(
    "PATCH /notifications/<notification_id>",
    gives=NOTHING,
    examples=({"read": True},),
    refuses=("notification_not_found",),
)
async def read_notification(
    fleet: Fleet,
    notification_id: str,
    body: ReadBody,  # noqa: ARG001 - `true` is all that it can say
    caller: Caller,
) -> Response:
    """Mark a notification as seen.

    Its id is that of the list: the session's id, a colon and a number.
    """
    session_id, _, number = notification_id.rpartition(":")
    state = fleet.views.sessions.get(session_id)
    known = () if state is None else (str(notification.number) for notification in state.notifications)
    if number not in known:
        raise Rejected("notification_not_found", f"there is no notification {notification_id}")
    result = await fleet.sessions.read_notifications(session_id, (int(number),), caller)
    return done(result.position)


def _callback_item(state: State, callback: Callback) -> CallbackItem:
    return CallbackItem(
        session_id=state.id,
        parent_id=state.settings.parent_id or "",
        number=callback.number,
        outcome=callback.outcome,
        status=callback.status,
        reason=callback.reason,
        at=rfc3339(callback.at_ms),
        text=callback.text,
    )


def _notifications(fleet: Fleet, session_id: str | None) -> list[NotificationItem]:
    return [
        NotificationItem(
            id=f"{state.id}:{notification.number}",
            session_id=state.id,
            kind=notification.kind,
            text=notification.text,
            at=rfc3339(notification.at_ms),
            read=notification.read,
        )
        for state in fleet.views.sessions
        if session_id is None or state.id == session_id
        for notification in state.notifications
    ]
