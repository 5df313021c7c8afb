"""The cause of an effect: the event that asked for it, and the request that this event followed from.

The commands of an effect are recorded with both, also after a restart.
"""

from collections.abc import Generator, Hashable, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import trio

from fleet.core.decider import Decider
from fleet.events.envelope import Cause, Recorded
from fleet.events.log import Log
from fleet.limits import FEED_PAGE_BYTES, REPLAY_PAGE_EVENTS

_NO_CAUSE: Final = Cause()
_cause: Final = ContextVar("cause", default=_NO_CAUSE)


def cause_here(actor: str = "system") -> Cause:
    """Return the cause for commands of the effect that runs in this task, as `actor`."""
    behind = _cause.get()
    return Cause(actor, behind.causation_id, behind.correlation_id)


@contextmanager
def because_of(cause: Cause) -> Generator[None]:
    """Make `cause_here` lead to this cause while the block runs."""
    token = _cause.set(cause)
    try:
        yield
    finally:
        _cause.reset(token)


def because_of_event(recorded: Recorded) -> Cause:
    """Return the cause for consequences of an event."""
    return Cause(causation_id=f"@{recorded.position}", correlation_id=recorded.cause.correlation_id)


async def find_causes(
    log: Log,
    stream: str,
    id: str,  # noqa: A002 - the decider's word
    decider: Decider[Any, Any, Any, Any],
    effects: Iterable[Any],
) -> Mapping[Hashable, Cause]:
    """Return, by key, the last event of the stream that ordered each of these effects, where there is one.

    Effects are compared by key, because an effect that has been retried differs in its other fields.
    """
    wanted = {effect.key for effect in effects}
    found: dict[Hashable, Cause] = {}
    state, after = decider.initial(id), 0
    while wanted and (page := log.read_stream(stream, after, REPLAY_PAGE_EVENTS, FEED_PAGE_BYTES)):
        for recorded in page:
            state = decider.evolve(state, recorded.event)
            for effect in decider.react(state, recorded.event):
                if effect.key in wanted:
                    found[effect.key] = because_of_event(recorded)
        after = page[-1].position
        await trio.lowlevel.checkpoint()
    return found
