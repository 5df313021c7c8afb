"""The routes for what waits for a person in all sessions: inbox, notifications, callbacks."""

from quart import Blueprint, Response

from fleet.actors.fleet import Fleet
from fleet.core.session.state import Callback, State
from fleet.core.times import rfc3339
from fleet.errors import Rejected
from fleet.gateway.items.inbox import inbox_items, inbox_items_at
from fleet.gateway.openapi.document import about, asks, gives, gives_nothing, refuses, takes
from fleet.gateway.openapi.refusals import COMMAND
from fleet.gateway.server.requests import (
    answer,
    caller,
    check_cursor,
    derived,
    done,
    paged,
    read_body,
    read_no_body,
    read_query,
    same,
)
from fleet.wire.bodies import CallbackQuery, InboxQuery, NotificationQuery, Query, ReadBody
from fleet.wire.callbacks import CallbackItem
from fleet.wire.items import Count, InboxItem, NotificationItem


def inbox_routes(fleet: Fleet) -> Blueprint:
    """Return the routes over one Fleet."""
    routes = Blueprint("inbox", __name__, url_prefix="/api")

    @routes.get("/inbox")
    @about("inbox")
    @asks(InboxQuery)
    @gives(list[InboxItem])
    async def read_inbox() -> Response:
        """List everything that waits for a person, oldest first.

        Permission requests and questions without an answer, failures, budgets that are used up, callbacks that could
        not be delivered, and webhooks that were disabled because they failed. With `at` it is what waited then; what
        was erased or deleted since is left out, and so are the calls that requests were about.
        """
        query, position = read_query(InboxQuery), fleet.log.head()
        if query.at is None:
            return paged(inbox_items(fleet), query, same, position)
        found = await inbox_items_at(fleet, check_cursor(fleet, query.at, "at"))
        return paged(found, query, same, position)

    @routes.get("/callbacks")
    @about("inbox")
    @asks(CallbackQuery)
    @gives(list[CallbackItem])
    async def list_callbacks() -> Response:
        """List the callbacks of all sessions, oldest first.

        A callback is the prompt by which a session hears of an outcome of one that reports to it. `undelivered` ones
        are those that it cannot take; `reason` says why.
        """
        query = read_query(CallbackQuery)
        items = [
            _callback_item(state, callback)
            for state in fleet.views.sessions
            for callback in state.callbacks.sent
            if query.status is None or callback.status == query.status
        ]
        return paged(sorted(items, key=lambda item: item.at), query, same, fleet.log.head())

    @routes.get("/notifications")
    @about("inbox")
    @asks(NotificationQuery)
    @gives(list[NotificationItem])
    @refuses("session_not_found")
    async def list_notifications() -> Response:
        """List notifications, newest first.

        A notification tells a person what a session has come to, and is erased with it.
        """
        query = read_query(NotificationQuery)
        of = None if query.session is None else fleet.sessions.session(query.session).id
        found = [item for item in _notifications(fleet, of) if not (query.unread and item.read)]
        found.sort(key=lambda item: item.at, reverse=True)
        return paged(found, query, same, fleet.log.head())

    @routes.get("/notifications/unread-count")
    @about("inbox")
    @gives(Count)
    async def count_unread() -> Response:
        """Count the notifications that nobody has seen.

        Those of all sessions.
        """
        read_query(Query)
        return answer(Count(count=sum(not item.read for item in _notifications(fleet, None))))

    @routes.post("/notifications/read")
    @about("inbox")
    @gives_nothing
    @refuses(*COMMAND)
    async def read_all_notifications() -> Response:
        """Mark all notifications as seen.

        Those of all sessions that are there now.
        """
        read_query(Query)
        await read_no_body()
        who = await caller()
        for state in list(fleet.views.sessions):
            if any(not notification.read for notification in state.notifications):
                await fleet.sessions.read_notifications(state.id, None, derived(who, state.id))
        return done(fleet.log.head())

    @routes.patch("/notifications/<notification_id>")
    @about("inbox")
    @takes(ReadBody, {"read": True})
    @gives_nothing
    @refuses(*COMMAND, "notification_not_found")
    async def read_notification(notification_id: str) -> Response:
        """Mark a notification as seen.

        Its id is that of the list: the session's id, a colon and a number.
        """
        await read_body(ReadBody)
        session_id, _, number = notification_id.rpartition(":")
        state = fleet.views.sessions.get(session_id)
        known = () if state is None else (str(notification.number) for notification in state.notifications)
        if number not in known:
            raise Rejected("notification_not_found", f"there is no notification {notification_id}")
        outcome = await fleet.sessions.read_notifications(session_id, (int(number),), await caller())
        return done(outcome.position)

    return routes


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
