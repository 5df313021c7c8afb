"""The session's state, its transition table, and `evolve`: what each event makes of the state.

`evolve` is the only place where a session's state changes. It never refuses what the table allows; what the table
refuses is a corrupt log. What may be ordered is decided in machine.py, what must be done then stands in effects.py.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final, Literal, TypeVar, get_args

import msgspec
from msgspec.structs import replace

from fleet.core.session import messages as m
from fleet.core.table import ImpossibleEvent, read_table
from fleet.limits import TRANSCRIPT_KNOWN_MAX
from fleet.ports import Attachment, Strategy, Tokens

Phase = Literal["unborn", "created", "active", "waiting_input", "idle", "completed", "stopped", "disconnected", "error"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)
RUNNING: Final[frozenset[Phase]] = frozenset(("active", "waiting_input"))
ENDED: Final[frozenset[Phase]] = frozenset(("completed", "stopped", "disconnected"))

TABLE: Final = read_table(
    """
    event                unborn  created active        waiting_input idle         completed stopped disconnected error
    SessionCreated       created x       x             x             x            x         x       x            x
    SessionDescribed     x       =       =             =             =            =         =       =            =
    WorkspaceAttached    x       =       x             x             x            =         =       =            =
    InstanceAttached     x       =       x             x             x            =         =       =            =
    ConversationOpened   x       idle    x             x             x            x         x       x            x
    ResumeRequested      x       x       x             x             x            =         =       =            =
    SessionResumed       x       x       x             x             x            active    active  active       active
    ProvisionFailed      x       error   x             x             x            =         =       =            =
    PromptAccepted       x       =       =             =             =            =         =       =            =
    PromptWithdrawn      x       =       =             =             =            =         =       =            =
    TurnStarted          x       x       active        x             active       x         x       x            active
    PromptDelivered      x       x       =             =             x            x         x       x            x
    MessageRecorded      x       x       =             =             =            =         =       =            =
    PartRecorded         x       x       =             =             =            =         =       =            =
    RequestOpened        x       x       waiting_input =             x            x         x       x            x
    RequestClosed        x       x       x             =             x            x         x       x            x
    TurnContinued        x       x       x             active        x            x         x       x            x
    AbortRequested       x       x       =             =             x            x         x       x            x
    TurnEnded            x       x       idle          idle          x            x         x       =            x
    TurnFailed           x       x       error         error         x            x         x       x            x
    SessionSettled       x       x       idle          idle          x            x         x       x            x
    InstanceDetached     x       =       =             =             =            =         =       =            =
    SessionCompleted     x       x       x             x             completed    x         x       x            x
    SessionDisconnected  x       x       disconnected  disconnected  disconnected x         x       x            x
    TerminationRequested x       =       =             =             =            =         =       =            =
    SessionStopped       x       stopped stopped       stopped       stopped      stopped   =       stopped      stopped
    """,
    PHASES,
    get_args(m.Event),
)


class QueuedPrompt(msgspec.Struct, frozen=True):
    """A prompt that waits for its turn."""

    prompt_id: str
    text: str
    accepted_at_ms: int
    attachments: tuple[Attachment, ...] = ()
    agent: str | None = None
    model: m.Model | None = None


class Turn(msgspec.Struct, frozen=True):
    """The turn that runs, or that a lost instance left behind."""

    number: int
    prompt: QueuedPrompt
    message_id: str
    part_ids: tuple[str, ...]
    started_at_ms: int
    delivered: bool = False
    aborting: bool = False


class Failure(msgspec.Struct, frozen=True):
    """Why the session is in `error`, or its last resume failed; `code` is a problem code or an error of OpenCode's."""

    code: str
    detail: str
    at_ms: int
    step: m.ProvisionStep | None = None


class State(msgspec.Struct, frozen=True):
    """A session.

    `provisioning` is the step of creation or resume that is under way. `held` keeps waiting prompts back after an abort
    or error until somebody prompts again. `recorded` maps messages and parts of the current turn, and the newest of
    those before, to a digest of what the log has of them; `counted` the cost and tokens that messages have added.
    """

    id: str
    phase: Phase = "unborn"
    since_ms: int = 0
    evidence: str = ""
    title: str = ""
    tags: tuple[str, ...] = ()
    strategy: Strategy = "existing"
    workspace_id: str = ""
    source_directory: str = ""
    source_repository: str | None = None
    directory: str = ""
    branch: str | None = None
    base_ref: str | None = None
    agent: str | None = None
    model: m.Model | None = None
    opencode_id: str = ""
    conversation: bool = False
    instance_id: str | None = None
    instances: tuple[str, ...] = ()
    provisioning: m.ProvisionStep | None = None
    failure: Failure | None = None
    terminating: bool = False
    queue: tuple[QueuedPrompt, ...] = ()
    held: bool = False
    turn: Turn | None = None
    turns: int = 0
    last_outcome: str | None = None
    requests: tuple[str, ...] = ()
    recorded: dict[str, str] = {}
    counted: dict[str, tuple[float, Tokens]] = {}
    cost_usd: float = 0.0
    tokens: Tokens = Tokens()
    created_at_ms: int = 0
    changed_at_ms: int = 0
    ended_at_ms: int | None = None


def initial(session_id: str) -> State:
    """Return the state of a session that does not exist yet."""
    return State(id=session_id)


def evolve(state: State, event: m.Event) -> State:
    """Return the state after `event`. Raises `ImpossibleEvent` for what the table refuses."""
    kind = type(event)
    phase = TABLE[state.phase, kind]
    if phase is None:
        raise ImpossibleEvent(f"{kind.__name__} in a session that is {state.phase}")
    changes = _CHANGES[kind](state, event)
    changes["changed_at_ms"] = event.at_ms
    if phase != state.phase:
        changes["phase"] = phase
        changes["since_ms"] = event.at_ms
    return replace(state, **changes)


Changes = dict[str, Any]
Known = TypeVar("Known")


def _created(_: State, event: m.SessionCreated) -> Changes:
    return {
        "title": event.title,
        "tags": event.tags,
        "strategy": event.strategy,
        "workspace_id": event.workspace_id,
        "source_directory": event.source_directory,
        "source_repository": event.source_repository,
        "directory": event.directory,
        "branch": event.branch,
        "base_ref": event.base_ref,
        "agent": event.agent,
        "model": event.model,
        "opencode_id": event.opencode_id,
        "provisioning": "workspace",
        "created_at_ms": event.at_ms,
        "evidence": "created; its workspace is being prepared",
    }


def _described(_: State, event: m.SessionDescribed) -> Changes:
    return {"title": event.title, "tags": event.tags}


def _workspace_attached(_: State, event: m.WorkspaceAttached) -> Changes:
    return {
        "workspace_id": event.workspace_id,
        "directory": event.directory,
        "branch": event.branch,
        "provisioning": "instance",
    }


def _instance_attached(state: State, event: m.InstanceAttached) -> Changes:
    known = state.instances if event.instance_id in state.instances else (*state.instances, event.instance_id)
    return {"instance_id": event.instance_id, "instances": known, "provisioning": "conversation"}


def _conversation_opened(_: State, event: m.ConversationOpened) -> Changes:
    return {
        "opencode_id": event.opencode_id,
        "conversation": True,
        "provisioning": None,
        "failure": None,
        "evidence": "OpenCode has the session; no prompt yet",
    }


def _resume_requested(_: State, __: m.ResumeRequested) -> Changes:
    return {"provisioning": "workspace"}


def _resumed(_: State, event: m.SessionResumed) -> Changes:
    return {
        "opencode_id": event.opencode_id,
        "conversation": True,
        "provisioning": None,
        "failure": None,
        "ended_at_ms": None,
        "evidence": "resumed; what OpenCode does for it is being looked at",
    }


def _provision_failed(state: State, event: m.ProvisionFailed) -> Changes:
    what = "creation" if state.phase == "created" else "resume"
    return {
        "provisioning": None,
        "failure": Failure(event.code, event.detail, event.at_ms, event.step),
        "evidence": f"{what} failed: {event.detail}",
    }


def _prompt_accepted(state: State, event: m.PromptAccepted) -> Changes:
    prompt = QueuedPrompt(event.prompt_id, event.text, event.at_ms, event.attachments, event.agent, event.model)
    return {"queue": (*state.queue, prompt), "held": False}


def _prompt_withdrawn(state: State, event: m.PromptWithdrawn) -> Changes:
    return {"queue": tuple(p for p in state.queue if p.prompt_id != event.prompt_id)}


def _turn_started(state: State, event: m.TurnStarted) -> Changes:
    return {
        "queue": tuple(p for p in state.queue if p.prompt_id != event.prompt_id),
        "turn": Turn(
            event.number,
            next(p for p in state.queue if p.prompt_id == event.prompt_id),
            event.message_id,
            event.part_ids,
            event.at_ms,
        ),
        "turns": event.number,
        "failure": None,
        "recorded": _newest(state.recorded),
        "counted": _newest(state.counted),
        "evidence": f"turn {event.number}: the prompt is being delivered",
    }


def _newest(known: dict[str, Known]) -> dict[str, Known]:
    """Return what a late word on an earlier turn is recognised by: forgotten, it would be recorded and paid twice."""
    return dict(islice(known.items(), max(0, len(known) - TRANSCRIPT_KNOWN_MAX), None))


def _prompt_delivered(state: State, _: m.PromptDelivered) -> Changes:
    turn = state.turn and replace(state.turn, delivered=True)
    return {"turn": turn, "evidence": f"turn {state.turns}: OpenCode has the prompt and works"}


def _message_recorded(state: State, event: m.MessageRecorded) -> Changes:
    cost, tokens = state.counted.get(event.message_id, (0.0, Tokens()))
    return {
        "recorded": {**state.recorded, event.message_id: m.digest(event.body)},
        "counted": {**state.counted, event.message_id: (event.cost_usd, event.tokens)},
        "cost_usd": state.cost_usd + event.cost_usd - cost,
        "tokens": _added(state.tokens, event.tokens, tokens),
    }


def _added(total: Tokens, new: Tokens, old: Tokens) -> Tokens:
    if new == old:
        return total
    return Tokens(
        total.input + new.input - old.input,
        total.output + new.output - old.output,
        total.reasoning + new.reasoning - old.reasoning,
        total.cache_read + new.cache_read - old.cache_read,
        total.cache_write + new.cache_write - old.cache_write,
    )


def _part_recorded(state: State, event: m.PartRecorded) -> Changes:
    return {"recorded": {**state.recorded, event.part_id: m.digest(event.body)}}


def _request_opened(state: State, event: m.RequestOpened) -> Changes:
    return {
        "requests": (*state.requests, event.request_id),
        "evidence": f"turn {state.turns}: a {event.kind} waits for an answer",
    }


def _request_closed(state: State, event: m.RequestClosed) -> Changes:
    return {"requests": tuple(r for r in state.requests if r != event.request_id)}


def _turn_continued(state: State, _: m.TurnContinued) -> Changes:
    return {"evidence": f"turn {state.turns}: answered, the agent works on"}


def _abort_requested(state: State, _: m.AbortRequested) -> Changes:
    return {
        "turn": state.turn and replace(state.turn, aborting=True),
        "held": bool(state.queue),
        "evidence": f"turn {state.turns}: is being aborted",
    }


def _turn_ended(state: State, event: m.TurnEnded) -> Changes:
    # An abort held back what waited when it was ordered; who has prompted since wants to go on.
    aborting = state.turn is not None and state.turn.aborting
    held = state.held if aborting else event.outcome != "finished" and bool(state.queue)
    return {
        "turn": None,
        "requests": (),
        "held": held,
        "last_outcome": event.outcome,
        "evidence": f"turn {event.number} {event.outcome}: {event.evidence}",
    }


def _turn_failed(state: State, event: m.TurnFailed) -> Changes:
    return {
        "turn": None,
        "requests": (),
        "held": bool(state.queue),
        "last_outcome": "error",
        "failure": Failure(event.code, event.detail, event.at_ms),
        "evidence": f"turn {event.number} failed: {event.detail}",
    }


def _settled(_: State, event: m.SessionSettled) -> Changes:
    return {"requests": (), "evidence": event.evidence}


def _instance_detached(_: State, __: m.InstanceDetached) -> Changes:
    return {"instance_id": None}


def _instance_gone(_: State, event: m.SessionCompleted | m.SessionDisconnected) -> Changes:
    return {"instance_id": None, "requests": (), "evidence": event.evidence, "ended_at_ms": event.at_ms}


def _termination_requested(_: State, __: m.TerminationRequested) -> Changes:
    return {"terminating": True, "provisioning": None}


def _stopped(_: State, event: m.SessionStopped) -> Changes:
    return {
        "terminating": False,
        "instance_id": None,
        "requests": (),
        "evidence": event.evidence,
        "ended_at_ms": event.at_ms,
    }


_CHANGES: Final[Mapping[type[Any], Callable[[State, Any], Changes]]] = {
    m.SessionCreated: _created,
    m.SessionDescribed: _described,
    m.WorkspaceAttached: _workspace_attached,
    m.InstanceAttached: _instance_attached,
    m.ConversationOpened: _conversation_opened,
    m.ResumeRequested: _resume_requested,
    m.SessionResumed: _resumed,
    m.ProvisionFailed: _provision_failed,
    m.PromptAccepted: _prompt_accepted,
    m.PromptWithdrawn: _prompt_withdrawn,
    m.TurnStarted: _turn_started,
    m.PromptDelivered: _prompt_delivered,
    m.MessageRecorded: _message_recorded,
    m.PartRecorded: _part_recorded,
    m.RequestOpened: _request_opened,
    m.RequestClosed: _request_closed,
    m.TurnContinued: _turn_continued,
    m.AbortRequested: _abort_requested,
    m.TurnEnded: _turn_ended,
    m.TurnFailed: _turn_failed,
    m.SessionSettled: _settled,
    m.InstanceDetached: _instance_detached,
    m.SessionCompleted: _instance_gone,
    m.SessionDisconnected: _instance_gone,
    m.TerminationRequested: _termination_requested,
    m.SessionStopped: _stopped,
}
