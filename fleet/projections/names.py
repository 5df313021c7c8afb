"""Names of streams and actors for people: titles and directories instead of ids."""

from collections.abc import Mapping
from typing import Any, Final

from fleet.core.instance.events import InstanceRequested
from fleet.core.session.events import SessionCreated, SessionEdited
from fleet.core.webhook.events import WebhookRegistered
from fleet.core.workspace.events import WorkspaceRequested
from fleet.events.envelope import Erased
from fleet.projections.sentences import quoted

EDITED: Final = "session.edited"
"""The type of the event that gives a session another title."""


def name_of(stream: str, first: Any, edited: Any = None) -> str:
    """Return the name of a stream that begins with the event `first`; `edited` is the newest event of type `EDITED`."""
    match edited or first:
        case SessionEdited(title=title):
            return f"session {quoted(title)}"
        case SessionCreated(settings=settings):
            return f"session {quoted(settings.title)}"
        case InstanceRequested(directory=directory):
            return f"process in {directory}"
        case WorkspaceRequested(order=order):
            return f"workspace {order.directory}"
        case WebhookRegistered(origin=origin):
            return f"webhook to {origin}"
        case Erased():
            return f"erased {stream}"
        case _:
            return stream


def who(actor: str, names: Mapping[str, str]) -> str:
    """Return an actor in words; `names` are those of streams."""
    kind, _, name = actor.partition(":")
    match kind:
        case "local":
            return "this machine's user"
        case "token":
            return name
        case "system":
            return "Fleet"
        case "policy":
            return f"Fleet ({name})"
        case "session":
            return names.get(stream_of(actor) or "", actor)
        case "instance":
            return names.get(stream_of(actor) or "", "an OpenCode process").replace("process", "OpenCode", 1)
        case _:
            return actor


def stream_of(actor: str) -> str | None:
    """Return the stream of an actor that is a session or a process."""
    kind, _, name = actor.partition(":")
    return f"{kind}-{name}" if kind in ("session", "instance") else None
