"""Trace spans of commands and effects: one request and everything that it leads to form one trace.

A trace contains the request, its commands, the effects that they order, and the effects' commands, also to other
actors. Each task has its span in this process's memory. A trace ends with the process: work that a later start
continues begins a new trace, which names the event that ordered it (`fleet.causation_id`).
"""

import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from opentelemetry.context import attach, detach, get_current, set_value
from opentelemetry.trace import Span, SpanContext, get_current_span

from fleet.actors.runtime.mailbox import Mailbox, Stop
from fleet.actors.runtime.ref import Message, Sent
from fleet.events.envelope import Cause
from fleet.traces import NOWHERE, Traces

_LINKED: Final = "fleet-linked"


class TracedMailbox(Mailbox[Message[Any, Any], Stop]):
    """A mailbox that records the origin and time of each message."""

    __slots__ = ()

    def put(self, message: Message[Any, Any]) -> None:
        """Add a message; see `Mailbox.put`."""
        message.sent = Sent(get_current(), time.time_ns())
        super().put(message)


class Spans:
    """The spans of one Fleet's actors. Their mailboxes have to be `TracedMailbox`.

    `lasting` are effects that run as long as a process: a trace that continued through one would never end.
    """

    def __init__(self, traces: Traces, lasting: tuple[type[object], ...] = ()) -> None:
        self._traces = traces
        self._lasting = lasting

    def begin(self) -> None:
        """Leave the span of the message that activated this task's actor: the actor outlives it."""
        attach(NOWHERE)

    def command(self, stream: str, command: object, cause: Cause, sent: Sent) -> AbstractContextManager[Span]:
        """Return the span of a command, from the mailbox to the reply."""
        parent, links = sent.context, list[SpanContext]()
        if _LINKED in parent:
            parent, links = NOWHERE, [get_current_span(parent).get_span_context()]
        kind = stream.partition("-")[0]
        name = type(command).__name__
        attributes = _attributes(stream, cause) | {
            "fleet.command": name,
            "fleet.queued_ms": (time.time_ns() - sent.at_ns) / 1e6,
        }
        return self._traces.span(f"{kind} {name}", parent, attributes, links=links, began_ns=sent.at_ns)

    @contextmanager
    def effect(self, stream: str, effect: object, cause: Cause) -> Generator[None]:
        """Run an effect in its span."""
        name = type(effect).__name__
        attributes = _attributes(stream, cause) | {"fleet.effect": name}
        with self._traces.span(f"{stream.partition('-')[0]} {name}", get_current(), attributes):
            if not isinstance(effect, self._lasting):
                yield
                return
            token = attach(set_value(_LINKED, True))
            try:
                yield
            finally:
                detach(token)


def _attributes(stream: str, cause: Cause) -> dict[str, str | float | None]:
    return {
        "fleet.aggregate": stream.partition("-")[0],
        "fleet.stream": stream,
        "fleet.causation_id": cause.causation_id,
        "fleet.correlation_id": cause.correlation_id,
    }
