"""Names of streams and actors for people: titles and directories instead of ids."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from fleet.core.hosts import HOSTS_ID
from fleet.core.instance.events import InstanceRequested
from fleet.core.server import SERVER_ID
from fleet.core.session.events import SessionCreated, SessionEdited
from fleet.core.webhook.events import WebhookRegistered
from fleet.core.workspace.events import WorkspaceRequested
from fleet.events.envelope import Erased
from fleet.events.log import LogReader
from fleet.limits import LOG_SEARCH_PAGE_EVENTS
from fleet.projections.sentences import quoted

OF_FLEET: Final[Mapping[str, str]] = {
    f"server-{SERVER_ID}": "the server",
    f"hosts-{HOSTS_ID}": "the hosts",
}
"""The streams about Fleet itself."""
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
        case WorkspaceRequested(spec=spec):
            return f"workspace {spec.directory}"
        case WebhookRegistered(origin=origin):
            return f"webhook to {origin}"
        case Erased() if stream.startswith("instance-"):  # taken out of an export: a process is not erased
            return f"process {stream.removeprefix('instance-')[:13]}"
        case Erased():
            return f"{stream.partition('-')[0]} {stream.partition('-')[2][:13]} without data"
        case _:
            return OF_FLEET.get(stream, stream)


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
        case "session" | "workspace":
            return names.get(stream_of(actor) or "", actor)
        case "instance":
            return names.get(stream_of(actor) or "", "an OpenCode process").replace("process", "OpenCode", 1)
        case _:
            return actor


def stream_of(actor: str) -> str | None:
    """Return the stream of an actor that is a session, a process or a workspace."""
    kind, _, name = actor.partition(":")
    return f"{kind}-{name}" if kind in ("session", "instance", "workspace") else None


def naming(log: LogReader, title_of: Callable[[str], str | None] = lambda _: None) -> Callable[[str], str]:
    """Return the function that names streams of the log; each name is read once.

    `title_of` gives the title of a session by its id, where a view has it; else its stream is read.
    """

    @cache
    def name(stream: str) -> str:
        kind, _, own_id = stream.partition("-")
        if kind == "session" and (title := title_of(own_id)) is not None:
            return f"session {quoted(title)}"
        first = log.read_stream(stream, 0, 1)
        edited = _edited(log, stream) if kind == "session" else None
        return name_of(stream, first[0].event, edited) if first else stream

    return name


def _edited(log: LogReader, stream: str) -> Any:
    """Return the newest event that gives the stream another title, None without one."""
    before = log.head() + 1
    while page := log.stream_positions(stream, 0, before, LOG_SEARCH_PAGE_EVENTS, newest_first=True):
        for header in log.read_headers(page):
            if header.type == EDITED:
                return log.read_all(header.position - 1, 1)[0].event
        before = page[-1]
    return None
