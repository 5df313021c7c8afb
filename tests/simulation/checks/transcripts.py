"""Law 6: what a session has said is what OpenCode's store has of it, in the log and as it is shown."""

from collections.abc import Iterator

from fleet.core.session.events import CallbacksErased
from fleet.core.session.turn_events import MessageRecorded, PartRecorded
from fleet.ports import Message
from tests.simulation.evidence import Evidence


def transcripts_are_opencodes(evidence: Evidence) -> Iterator[str]:
    """At rest the log has, of every turn that ended, each message and finished part as OpenCode has it (law 6)."""
    for session_id, stored in _at_rest(evidence):
        recorded: dict[str, bytes] = {}
        erased: set[str] = set()  # not recorded again, whether or not OpenCode could replace them
        for event in (each.event for each in evidence.stream(f"session-{session_id}")):
            if isinstance(event, MessageRecorded):
                recorded[event.message_id] = bytes(event.body)
            elif isinstance(event, PartRecorded):
                recorded[event.part_id] = bytes(event.body)
            elif isinstance(event, CallbacksErased):
                erased.update(event.parts)
        for message in stored:
            finished = ((part.id, part.raw) for part in message.parts if part.finished and part.id not in erased)
            for each, body in ((message.info.id, message.info.raw), *finished):
                if recorded.get(each) != body:
                    yield f"session {session_id}: the log does not have {each} as OpenCode has it"


def transcripts_are_shown(evidence: Evidence) -> Iterator[str]:
    """At rest a session shows the messages of its own conversation, each and in order, as OpenCode has them (law 6)."""
    for session_id, stored in _at_rest(evidence):
        shown = [bytes(message.info) for message in evidence.transcripts[session_id]]
        if shown != (kept := [message.info.raw for message in stored]):
            yield f"session {session_id} shows {len(shown)} messages, OpenCode has {len(kept)} or others"


def _at_rest(evidence: Evidence) -> Iterator[tuple[str, list[Message]]]:
    """Yield each session that is idle with what OpenCode's store has of its conversation."""
    store = evidence.world.store
    for state in evidence.views.sessions:
        if state.phase == "idle" and state.opencode.session_id in store.sessions:
            yield state.id, [message.read() for message in store.transcript(state.opencode.session_id)]
