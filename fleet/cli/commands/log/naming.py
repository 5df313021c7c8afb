"""Names and sentences for the events of a source: a title or a directory for each stream."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from fleet.events.catalog import NAMES
from fleet.events.envelope import Erased
from fleet.projections.names import EDITED, name_of, stream_of
from fleet.projections.sentences import sentence

if TYPE_CHECKING:
    from fleet.cli.commands.log.source import LogSource
    from fleet.wire.audit import EventItem


def event_of(item: "EventItem") -> Any:
    """Return the event; None for one of a newer Fleet, which this one cannot read."""
    if item.erased:
        return Erased()
    try:
        return msgspec.json.decode(item.data, type=NAMES[item.type])
    except (KeyError, msgspec.MsgspecError):
        return None


def sentence_of_item(item: "EventItem") -> str:
    """Return what happened."""
    return sentence(item.type, event_of(item))


async def names_of(source: "LogSource", events: "Iterable[EventItem]") -> dict[str, str]:
    """Return the names of the streams of these events and of their actors."""
    actors = await actor_names(source, {event.actor for event in events})
    others = {event.stream for event in events} - actors.keys()
    return actors | {stream: await _name(source, stream) for stream in others}


async def actor_names(source: "LogSource", actors: "Iterable[str]") -> dict[str, str]:
    """Return the names of the streams of those actors that have one."""
    wanted = {stream for actor in actors if (stream := stream_of(actor)) is not None}
    return {stream: await _name(source, stream) for stream in wanted}


async def _name(source: "LogSource", stream: str) -> str:
    first = await source.log(stream=stream, limit=1)
    edited = await source.log(stream=stream, types=[EDITED], newest_first=True, limit=1) if first else first
    return name_of(stream, *(event_of(event) for page in (first, edited) for event in page)) if first else stream
