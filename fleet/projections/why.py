"""Explains an event of the log: step by step down to the request that began it, one plain sentence each.

The causes of events lead from an effect to a request (`Cause.causation_id`). Of a turn on the way, the steps name what
explains it (why_turn.py): the tool call that changed a file, the permission for it and who gave it, the process.
"""

from functools import partial
from typing import Final

import trio

from fleet.core.session.turn_events import PromptAccepted, PromptEdited, TurnStarted
from fleet.errors import Rejected
from fleet.events.blobs import Blobs
from fleet.events.envelope import Damaged, Erased, Recorded, position_of
from fleet.events.log import LogReader
from fleet.limits import LOG_SEARCH_PAGE_EVENTS, WHY_STEPS_MAX
from fleet.projections.names import OF_FLEET
from fleet.projections.sentences import cut, quoted, sentence
from fleet.projections.turn_record import read_turn
from fleet.projections.why_turn import OF_TURN, Naming, ReasonStep, ReasonSteps, TurnStory, read_one

_PEOPLE: Final = ("local", "token:", "session:", "policy:")
"""The actors who ask for something; others report what happened."""
_TURN_STARTED: Final = "session.turn-started"


async def explain(
    log: LogReader, position: int, name: Naming, blobs: Blobs | None = None, file: str | None = None
) -> list[ReasonStep]:
    """Return the steps from the event at `position` down to the request that began it, at most `WHY_STEPS_MAX`.

    With `file`, the steps of a turn explain the change of that file. Without `blobs` the files of a change are not
    listed. Raises `Rejected` event_not_found.
    """
    steps = ReasonSteps(name)
    recorded: Recorded | None = read_event(log, position)
    while recorded is not None and len(steps.all) < WHY_STEPS_MAX and recorded.position not in steps.told:
        started = await _turn_of(log, recorded)
        if started is None:
            _tell_event(steps, recorded, log)
            recorded = await _cause(log, recorded)
        else:
            TurnStory(steps, log, blobs, await read_turn(log, started)).explain(recorded, file)
            recorded = await _tell_prompt(steps, log, started)
    return steps.all[:WHY_STEPS_MAX]


def read_event(log: LogReader, position: int) -> Recorded:
    """Return the event. Raises `Rejected` event_not_found."""
    found = log.read_all(position - 1, 1) if 0 < position <= log.head() else []
    if not found or found[0].position != position:
        raise Rejected("event_not_found", f"the log has no event {position}; its last one is {log.head()}")
    return found[0]


async def called_paths(log: LogReader, recorded: Recorded) -> set[str]:
    """Return the paths, relative to the session's directory, that writing tool calls of the event's turn name."""
    started = await _turn_of(log, recorded)
    if started is None:
        return set()
    turn = await read_turn(log, started)
    paths = {path for call in turn.calls if call.writes and not call.failed for path in call.paths}
    return {path.removeprefix(f"{turn.directory}/") for path in paths}


def _tell_event(steps: ReasonSteps, recorded: Recorded, log: LogReader) -> None:
    """Explain an event that is outside of any turn, or of whose turn nothing is left."""
    if isinstance(recorded.event, Erased) and not isinstance(recorded.event, Damaged):
        _tell_erased(steps, recorded, log)
        return
    if isinstance(recorded.event, PromptAccepted):
        steps.add("prompt", _prompted(steps, recorded), recorded)
        return
    told, name = sentence(recorded.type, recorded.event), steps.name(recorded.stream)
    where = "" if name in OF_FLEET.values() or name.partition(" ")[2] in told else f" ({name})"
    by = f", by {steps.who(recorded)}" if recorded.cause.actor.startswith(_PEOPLE) else ""
    steps.add("event", f"{told}{where}{by}", recorded)


def _tell_erased(steps: ReasonSteps, recorded: Recorded, log: LogReader) -> None:
    """Say who caused an event without data, and who ordered the erasure, if it was erased."""
    positions = log.stream_positions(recorded.stream, 0, log.head() + 1, 1, newest_first=True)
    order = next((each for each in map(partial(read_one, log), positions) if each.type.endswith(".erased")), None)
    what = "erased" if order is not None else "erased or taken out"
    told = f"{steps.who(recorded)} caused this event ({recorded.type} of {recorded.stream}); its data was {what}"
    if order is None or order.position != recorded.position:
        steps.add("event", told, recorded)
    if order is not None:
        steps.add("event", f"{steps.who(order)} ordered the erasure of {order.stream}", order)


async def _tell_prompt(steps: ReasonSteps, log: LogReader, started: Recorded) -> Recorded | None:
    """Explain the start of a turn and its prompt; return what the prompt followed from."""
    prompt = await _prompt_of(log, started)
    waited_s = 0 if prompt is None else (started.recorded_at_ms - prompt.recorded_at_ms) // 1000
    waited = f", after its prompt had waited {waited_s} s" if waited_s else ""
    steps.add("turn", f"Turn {started.event.number} of {steps.name(started.stream)} began{waited}", started)
    if prompt is None:
        return None
    for edited in await _edits(log, prompt, started):
        steps.add("prompt", f"{steps.who(edited)} changed its text to {quoted(edited.event.text)}", edited)
    steps.add("prompt", _prompted(steps, prompt), prompt)
    return await _cause(log, prompt)


def _prompted(steps: ReasonSteps, prompt: Recorded) -> str:
    event, to = prompt.event, steps.name(prompt.stream)
    if event.command:
        return f"{steps.who(prompt)} ran the command /{event.command} {cut(event.text)} in {to}"
    return f"{steps.who(prompt)} sent the prompt {quoted(event.text)} to {to}"


async def _prompt_of(log: LogReader, started: Recorded) -> Recorded | None:
    """Return the acceptance of the turn's prompt; where a cause does not lead to it, it is searched for."""
    cause = await _cause(log, started)
    if cause is not None and _is_prompt(cause, started):
        return cause
    before = started.position
    while (found := await _newest(log, started.stream, before, "session.prompt-accepted")) is not None:
        if _is_prompt(found, started):
            return found
        before = found.position
    return None


def _is_prompt(recorded: Recorded, started: Recorded) -> bool:
    return isinstance(recorded.event, PromptAccepted) and recorded.event.prompt_id == started.event.prompt_id


async def _edits(log: LogReader, prompt: Recorded, started: Recorded) -> list[Recorded]:
    """Return the changes of the prompt's text while it waited, newest first."""
    found: list[Recorded] = []
    before = started.position
    while (edited := await _newest(log, prompt.stream, before, "session.prompt-edited", prompt.position)) is not None:
        before = edited.position
        if isinstance(edited.event, PromptEdited) and edited.event.prompt_id == prompt.event.prompt_id:
            found.append(edited)
    return found


async def _turn_of(log: LogReader, recorded: Recorded) -> Recorded | None:
    """Return the start of the turn that the event belongs to, by its causes, or else by its place in the stream."""
    if not isinstance(recorded.event, (TurnStarted, *OF_TURN)):
        return None
    cause: Recorded | None = recorded
    while cause is not None and cause.stream == recorded.stream:
        if isinstance(cause.event, TurnStarted):
            return cause
        cause = await _cause(log, cause)
    found = await _newest(log, recorded.stream, recorded.position, _TURN_STARTED)
    return found if found is not None and isinstance(found.event, TurnStarted) else None


async def _cause(log: LogReader, recorded: Recorded) -> Recorded | None:
    """Return the event that this one followed from; of a caller's session, the turn that ran in it then."""
    position = position_of(recorded.cause)
    if position is not None:
        events = log.read_all(position - 1, 1) if 0 < position < recorded.position else []
        return events[0] if events and events[0].position == position else None
    kind, _, session_id = (recorded.cause.causation_id or "").partition(":")
    return await _newest(log, f"session-{session_id}", recorded.position, _TURN_STARTED) if kind == "session" else None


async def _newest(log: LogReader, stream: str, before: int, kind: str, after: int = 0) -> Recorded | None:
    """Return the stream's newest event of this type between two positions."""
    while page := log.stream_positions(stream, after, before, LOG_SEARCH_PAGE_EVENTS, newest_first=True):
        for header in log.read_headers(page):
            if header.type == kind:
                return read_one(log, header.position)
        before = page[-1]
        await trio.lowlevel.checkpoint()
    return None
