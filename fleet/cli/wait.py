"""Follows a session until its work is done; this is what `--wait` does."""

from typing import TYPE_CHECKING, Final, NamedTuple

from fleet.cli.connect import ExitCode, complain, warn_connection_lost
from fleet.cli.sanitize import SafeConsole
from fleet.cli.show_view import counted, outcome_code
from fleet.cli.tail_view import StreamPrinter
from fleet.client.session import is_settled, needs_person
from fleet.wire.frames import Event

if TYPE_CHECKING:
    from fleet.client import FleetClient, FleetError, Session, Stream
    from fleet.wire.frames import Frame
    from fleet.wire.items import SessionDetail

_DECISIVE: Final = frozenset(
    f"session.{name}"
    for name in (
        "turn-ended",
        "turn-failed",
        "provision-failed",
        "request-opened",
        "setup-held",
        "budget-exceeded",
        "settled",
        "completed",
        "disconnected",
        "stopped",
        "erased",
    )
)


class Followed(NamedTuple):
    """The last state of a session. `needed`: what a person has to do before it accepts the prompt."""

    item: "SessionDetail"
    needed: str | None = None


async def follow_to_end(
    fleet: "FleetClient", session: "Session", events: "Stream[Frame]", console: SafeConsole, *, prompted: bool
) -> "Followed":
    """Print what the session does until it has nothing more to do or needs a person, and return what it is then.

    Where a person was needed before the prompt came, it returns at once. What the session did before its next prompt is
    not told, where `prompted` says that one was sent. It says on stderr when the server is away.
    """
    printer, begun = StreamPrinter(console, own=(await session.read()).opencode_id), not prompted

    def warn(failure: "FleetError | None") -> None:
        printer.end()
        warn_connection_lost(failure)

    fleet.on_loss(warn)
    try:
        while True:
            frame = await anext(events)
            begins = not begun and isinstance(frame, Event) and frame.type == "session.prompt-accepted"
            begun = begun or begins
            if begun:
                printer.print(frame)
            if begins and (needed := needs_person(item := await session.read())) is not None:
                printer.end()
                return Followed(item, needed)
            decisive = begun and isinstance(frame, Event) and frame.type in _DECISIVE
            if decisive and is_settled(item := await session.read()):
                printer.end()
                return Followed(item)
    except KeyboardInterrupt:
        printer.end()
        complain(f"the session continues; `fleet abort {session.id}` stops its turn.")
        raise


def print_outcome(followed: "Followed", console: SafeConsole) -> int:
    """Print the session's state on one line, and return the exit code. The reason was printed before."""
    item = followed.item
    changed = item.changes
    what = (
        ""
        if changed is None
        else f", {counted(changed.files, 'file', 'files')} changed (+{changed.additions} -{changed.deletions})"
    )
    code = outcome_code(item) if followed.needed is None else ExitCode.WAITS_FOR_YOU
    if followed.needed is not None:
        complain(f"the prompt waits: {followed.needed}.")
    asks = "; it waits for you, see `fleet inbox`" if code is ExitCode.WAITS_FOR_YOU else ""
    console.print(f"{item.status.replace('_', ' ')}{what}, ${item.cost_usd:.4f}{asks}", soft_wrap=True)
    return code
