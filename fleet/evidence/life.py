"""The steps in the life of a session, as sentences."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from fleet.core.session import events as session_events


def _budget(event: session_events.BudgetSet) -> str:
    if event.budget is None:
        return "without a limit"
    found = msgspec.to_builtins(event.budget)
    return ", ".join(f"{value:g} {name}" for name, value in found.items() if value is not None)


LIFE: Final[Mapping[type[Any], Callable[[Any], str]]] = {
    session_events.SessionCreated: lambda e: (
        f"The session was created in {e.source_directory} ({e.settings.strategy})."
    ),
    session_events.SessionEdited: lambda e: f"The title is “{e.title}” and the tags are {', '.join(e.tags) or 'none'}.",
    session_events.WorkspaceAttached: lambda e: (
        f"The workspace {e.directory} is ready" + (f" on branch {e.branch}." if e.branch else ".")
    ),
    session_events.InstanceAttached: lambda e: f"The OpenCode process {e.instance_id} runs it.",
    session_events.ResumeRequested: lambda _: "A resume was asked for.",
    session_events.SessionResumed: lambda e: f"It was resumed in the OpenCode process {e.instance_id}.",
    session_events.ProvisionFailed: lambda e: f"It could not be made ready: {e.detail} ({e.code}).",
    session_events.SessionCompleted: lambda e: f"It is complete: {e.evidence}.",
    session_events.SessionDisconnected: lambda e: f"It lost its OpenCode process: {e.evidence}.",
    session_events.StopRequested: lambda _: "A stop was asked for.",
    session_events.SessionStopped: lambda e: f"It was stopped: {e.evidence}.",
    session_events.CallbackOrdered: lambda e: f"Its parent is to be told: {e.outcome}.",
    session_events.CallbackDelivered: lambda _: "Its parent was told.",
    session_events.CallbackDropped: lambda e: f"Its parent was not told: {e.reason}.",
    session_events.BudgetSet: lambda e: f"The budget is {_budget(e)}.",
    session_events.BudgetExceeded: lambda e: f"The budget is used up: {e.what}.",
}
"""The sentence for an event, by its class."""
