"""The items of allowances: what a session may do without asking, and which other sessions share that."""

from fleet.core.instance.state import OVER
from fleet.core.instance.state import State as Instance
from fleet.core.session.state import State
from fleet.core.times import rfc3339
from fleet.wire.allowances import AllowanceItem


def sharing_with(state: State, instance: Instance | None) -> list[str]:
    """Return the other sessions that work in the directory of this one, at the same process."""
    if instance is None or instance.phase in OVER:
        return []
    return sorted(each for each, place in instance.sessions.items() if place == state.directory and each != state.id)


def allowed_to(state: State, instance: Instance | None) -> list[AllowanceItem]:
    """Return what was allowed for good in the directory of the session, by an answer to any session."""
    if instance is None or instance.phase in OVER:
        return []
    return [
        AllowanceItem(
            session_id=each.session_id,
            request_id=each.request_id,
            permission=each.permission,
            patterns=list(each.patterns),
            at=rfc3339(each.at_ms),
        )
        for each in instance.allowed
        if each.directory == state.directory
    ]
