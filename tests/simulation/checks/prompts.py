"""Every accepted prompt has exactly one outcome, and OpenCode ran it as the one turn that the log says it was."""

from collections import Counter
from collections.abc import Iterator

from fleet.core.paths import is_inside
from fleet.core.session.events import SessionEvent
from fleet.core.session.state import ENDED
from fleet.core.session.turn_events import (
    PromptAccepted,
    PromptDelivered,
    PromptWithdrawn,
    TurnEnded,
    TurnFailed,
    TurnStarted,
    TurnSteered,
)
from fleet.core.session.values import COMPACT
from fleet.core.workspace.state import State as Workspace
from fleet.ports import PreparedWorkspace
from tests.fakes.opencode_store import StoredMessage
from tests.simulation.evidence import Evidence

ENDS = TurnEnded | TurnFailed


def prompts_have_one_outcome(evidence: Evidence) -> Iterator[str]:
    """Accepted once, then withdrawn, arrived in a turn, or run in one that ends once; what waits has a reason (4)."""
    for state in evidence.views.sessions:
        events = [recorded.event for recorded in evidence.stream(f"session-{state.id}")]
        accepted = Counter(event.prompt_id for event in events if isinstance(event, PromptAccepted))
        withdrawn = Counter(event.prompt_id for event in events if isinstance(event, PromptWithdrawn))
        turns = {event.number: event.prompt_id for event in events if isinstance(event, TurnStarted)}
        started = Counter(event.prompt_id for event in events if isinstance(event, TurnStarted))
        arrived = _arrived(events)
        ended = Counter(event.number for event in events if isinstance(event, ENDS))
        for prompt_id, times in accepted.items():
            ways = withdrawn[prompt_id] + started[prompt_id] + arrived[prompt_id]
            if times != 1 or ways > 1:
                yield f"prompt {prompt_id}: accepted {times}, withdrawn, arrived or started {ways} times"
            elif not ways and not _may_wait(evidence, state.id):
                yield f"prompt {prompt_id} waits in session {state.id}, which is {state.phase} and not held"
        for number, prompt_id in turns.items():
            if ended[number] > 1:
                yield f"turn {number} of session {state.id} ended {ended[number]} times"
            if not ended[number] and state.phase not in ENDED | {"error", "waiting_input"}:
                yield f"prompt {prompt_id}: turn {number} has no end, and session {state.id} is {state.phase}"
        if strays := (withdrawn | started).keys() - accepted.keys():
            yield f"session {state.id} knows prompts that nobody gave: {sorted(strays)}"


def _arrived(events: list[SessionEvent]) -> Counter[str]:
    """Return how often each prompt arrived in the turn of another one."""
    sent: dict[str, str] = {}
    found: Counter[str] = Counter()
    for event in events:
        if isinstance(event, TurnSteered):
            sent[event.message_id] = event.prompt_id
        elif isinstance(event, TurnStarted):
            sent.pop(event.message_id, None)
        elif isinstance(event, PromptDelivered) and event.message_id in sent:
            found[sent.pop(event.message_id)] += 1
    return found


def _may_wait(evidence: Evidence, session_id: str) -> bool:
    state = evidence.views.sessions.get(session_id)
    if state is None:
        return False
    return state.queue.paused or state.usage.exceeded is not None or state.phase in ENDED | {"error", "waiting_input"}


def turns_ran_once(evidence: Evidence) -> Iterator[str]:
    """One process at a time runs a session, one message carries a prompt, and no turn is run to its end twice (4)."""
    world = evidence.world
    for session_id in world.double_runs:
        yield f"two processes ran {session_id} at the same time"
    for message_id, times in world.finished_turns.items():
        if times > 1:
            yield f"{message_id} was run to its end {times} times"
    stored = (message for message in world.store.messages.values() if message.id not in world.copies)
    texts = Counter(message.text for message in stored if message.is_user and _is_ours(message))
    for text, times in texts.items():
        if times > 1:
            yield f"{text!r} reached OpenCode as {times} messages"


def _is_ours(message: StoredMessage) -> bool:
    """Say whether the text is a caller's, which is unique; callbacks, erased ones too, are counted by callbacks.py."""
    return bool(message.text) and not message.text.startswith(('Session "', "[Session "))


def the_log_tells_what_opencode_did(evidence: Evidence) -> Iterator[str]:
    """A turn that the log calls finished was answered to its end, and what OpenCode got was ordered before (4, 6)."""
    ordered: set[str] = set()
    for state in evidence.views.sessions:
        is_whole = evidence.world.deleted.isdisjoint((*state.opencode.earlier_session_ids, state.opencode.session_id))
        asked: list[str] = []
        for recorded in evidence.stream(f"session-{state.id}"):
            event = recorded.event
            if isinstance(event, TurnStarted | TurnSteered):
                asked = [*(asked if isinstance(event, TurnSteered) else ()), event.message_id]
                ordered.add(event.message_id)
            if isinstance(event, PromptDelivered) and event.kept_as is not None:
                asked = [event.kept_as]
            if isinstance(event, TurnEnded) and event.outcome == "finished" and is_whole:
                yield from _unanswered(evidence, asked)
    messages = evidence.world.store.messages.values()
    prompts = [message for message in messages if message.is_user and not _sums_up(message)]
    ordered |= evidence.world.copies
    strays = {each.id for each in prompts if each.info["sessionID"] not in evidence.erased_opencode} - ordered
    if strays:
        yield f"OpenCode has prompts that the log did not order: {sorted(strays)}"


def conversations_are_summed_up_once(evidence: Evidence) -> Iterator[str]:
    """For each turn that is to sum the conversation up OpenCode does so once, at most: its id is not Fleet's (4)."""
    for state in evidence.views.sessions:
        events = [recorded.event for recorded in evidence.stream(f"session-{state.id}")]
        asked = {e.prompt_id for e in events if isinstance(e, PromptAccepted) and e.command == COMPACT}
        started = sum(isinstance(e, TurnStarted) and e.prompt_id in asked for e in events)
        own = {*state.opencode.earlier_session_ids, state.opencode.session_id}
        messages = evidence.world.store.messages.values()
        made = [each.id for each in messages if each.info["sessionID"] in own and _sums_up(each)]
        if len(set(made) - evidence.world.copies) > started:
            yield f"session {state.id} asked {started} times for a summary, and OpenCode made {sorted(made)}"


def no_model_named_a_session(evidence: Evidence) -> Iterator[str]:
    """Every session of OpenCode had its title before its first prompt; else OpenCode asks a model for one."""
    for session_id in evidence.world.named_by_model:
        yield f"OpenCode's session {session_id} was prompted before it had its title"


def _sums_up(message: StoredMessage) -> bool:
    return any(part["type"] == "compaction" for part in message.parts.values())


def _unanswered(evidence: Evidence, asked: list[str]) -> Iterator[str]:
    """Complain of a turn with these prompts: its own, and those that steered it, which are answered in its place."""
    store = evidence.world.store
    kept = [store.messages[message_id] for message_id in asked if message_id in store.messages]
    if asked[0] not in store.messages:
        yield f"{asked[0]} finished, and OpenCode does not have it"
    elif not any(answer.info.get("finish") == "stop" for message in kept for answer in store.answers(message)):
        yield f"{asked[0]} finished, and OpenCode has no full answer to it"


def sessions_still_work(evidence: Evidence) -> Iterator[str]:
    """A prompt to a session at rest is answered, unless its workspace is not there: no dead ends (8).

    A session that works in another one's worktree as it stands loses its place with that worktree.
    """
    removed = [each.directory for each in map(_prepared, evidence.views.workspaces) if each is not None]
    for probe in evidence.probes:
        state = evidence.views.sessions.get(probe.session)
        workspace = None if state is None else evidence.views.workspaces.get(state.workspace_id)
        if state is None or workspace is None or workspace.phase != "ready" or is_inside(state.directory, removed):
            continue
        if workspace.fault is not None and workspace.spec is not None and workspace.spec.strategy == "existing":
            continue
        events = [recorded.event for recorded in evidence.stream(f"session-{probe.session}")]
        accepted = {e.text: e.prompt_id for e in events if isinstance(e, PromptAccepted)}
        started = {e.prompt_id: e.number for e in events if isinstance(e, TurnStarted)}
        number = started.get(accepted.get(probe.mark, ""))
        if any(isinstance(e, TurnFailed) and (e.number, e.code) == (number, "session_gone") for e in events):
            continue  # that the conversation is gone shows with a prompt; a later one went to a new conversation
        outcome = [e.outcome for e in events if isinstance(e, TurnEnded) and e.number == number]
        if outcome != ["finished"]:
            yield f"session {probe.session} did not do {probe.mark!r}: {probe.refusal or outcome or 'it waits'}"


def _prepared(workspace: Workspace) -> PreparedWorkspace | None:
    """Return where a removed workspace was."""
    return workspace.prepared if workspace.phase == "removed" else None
