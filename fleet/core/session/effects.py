"""The effects of a session: `pending` derives them from the state, `react` from the newest event.

Each effect is idempotent and has a `key`: one that runs already is not started again, and one that is no longer pending
is cancelled. actors/effects/session.py carries them out.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from fleet.core.session import events
from fleet.core.session.commands import SessionCommand
from fleet.core.session.report_commands import ReportProvisionFailed
from fleet.core.session.state import RUNNING, QueuedPrompt, State
from fleet.core.session.turn_events import AbortRequested, PromptDelivered, RequestAnswered, TurnStarted, TurnSteered
from fleet.core.session.values import Answer, ForkPoint, ProvisionStep
from fleet.ports import Recipe, Strategy, WorkspaceSpec


class ProvideWorkspace(msgspec.Struct, frozen=True):
    """Prepare and claim the workspace, then `ReportWorkspaceReady`."""

    key: str
    spec: WorkspaceSpec


class SetUpWorkspace(msgspec.Struct, frozen=True):
    """Run the workspace's set-up once a person has allowed its commands, then `ReportSetupEnded`."""

    key: str
    workspace_id: str
    repository: str | None
    recipe: Recipe
    attempt: int


class AttachInstance(msgspec.Struct, frozen=True):
    """Find or start an instance and attach to it, then `ReportInstanceReady`."""

    key: str
    directory: str
    strategy: Strategy
    source_directory: str
    source_repository: str | None


class OpenConversation(msgspec.Struct, frozen=True):
    """Find or create the session in OpenCode, then `ReportConversationOpen`. If it `exists` it must be found.

    With `origin` it is created as a fork of another one. On another host than that of the process `opened_by` it is
    restored.
    """

    key: str
    instance_id: str
    opencode_id: str
    directory: str
    title: str
    exists: bool
    origin: ForkPoint | None = None
    opened_by: str | None = None


class DeliverPrompt(msgspec.Struct, frozen=True):
    """Send the prompt unless OpenCode has it, read it back, then `ReportPromptDelivered`."""

    key: str
    instance_id: str
    opencode_id: str
    directory: str
    message_id: str
    part_ids: tuple[str, ...]
    prompt: QueuedPrompt
    number: int


class SteerTurn(msgspec.Struct, frozen=True):
    """Send a prompt into the running turn, read it back, then `ReportPromptDelivered`."""

    key: str
    instance_id: str
    opencode_id: str
    directory: str
    message_id: str
    part_ids: tuple[str, ...]
    prompt: QueuedPrompt


class FollowTurn(msgspec.Struct, frozen=True):
    """Follow the turn to its end, record its transcript, then `ReportTurnEnded` or `ReportTurnFailed`."""

    key: str
    instance_id: str
    opencode_id: str
    directory: str
    message_id: str
    number: int


class StopTurn(msgspec.Struct, frozen=True):
    """Abort the turn in OpenCode; repeated until the turn is over, which cancels this effect."""

    key: str
    instance_id: str
    opencode_id: str
    directory: str
    number: int


class Settle(msgspec.Struct, frozen=True):
    """Wait until OpenCode runs nothing for the session, then `ReportSettled`."""

    key: str
    instance_id: str
    opencode_id: str
    directory: str


class EndSession(msgspec.Struct, frozen=True):
    """Abort the turn, detach from the instance (later, if it is silent and shared), then `ReportSessionStopped`."""

    key: str
    instance_id: str | None
    opencode_id: str
    directory: str


class AnswerOpenCode(msgspec.Struct, frozen=True):
    """Give OpenCode the answer to a request, then `ReportRequestClosed`."""

    key: str
    instance_id: str
    opencode_id: str
    directory: str
    request_id: str
    kind: Literal["permission", "question"]
    answer: Answer


class DetachInstance(msgspec.Struct, frozen=True):
    """Detach the session from its instance once nothing runs for it there, then `ReportDetached`."""

    key: str
    instance_id: str
    opencode_id: str
    directory: str


class NotifyParent(msgspec.Struct, frozen=True):
    """Submit the callback's prompt to the parent, exactly once even after crashes, then `ReportCallback…`."""

    key: str
    parent_id: str
    number: int
    text: str


class EraseRecords(msgspec.Struct, frozen=True):
    """Erase the stream's payloads and everything else that is stored for the session."""

    key: str


Effect = (
    AnswerOpenCode
    | DetachInstance
    | NotifyParent
    | EraseRecords
    | ProvideWorkspace
    | SetUpWorkspace
    | AttachInstance
    | OpenConversation
    | DeliverPrompt
    | SteerTurn
    | FollowTurn
    | StopTurn
    | Settle
    | EndSession
)


def pending(state: State) -> tuple[Effect, ...]:
    """Return the effects that are ordered and not yet reported done."""
    if state.phase == "erased":
        return (EraseRecords("erase"),)
    return (*_work(state), *_aside(state))


def _work(state: State) -> tuple[Effect, ...]:
    if state.stopping:
        return (
            EndSession(
                "end",
                state.opencode.instance_id or state.opencode.detaching_from,
                state.opencode.session_id,
                state.directory,
            ),
        )
    if state.provisioning is not None:
        if state.provisioning == "instance" and state.opencode.detaching_from is not None:
            return ()  # attached to the instance that it leaves, it would be detached at once
        return (_provision(state.provisioning, state),)
    if state.phase in RUNNING and state.opencode.instance_id is not None:
        return _running(state, state.opencode.instance_id)
    return ()


def _aside(state: State) -> tuple[Effect, ...]:
    """Return the effects that run beside the session's own work."""
    leave: tuple[Effect, ...] = ()
    if state.opencode.detaching_from is not None and not state.stopping:  # `EndSession` detaches too
        leave = (
            DetachInstance(
                f"leave:{state.opencode.detaching_from}",
                state.opencode.detaching_from,
                state.opencode.session_id,
                state.directory,
            ),
        )
    if state.settings.parent_id is None:
        return leave
    waiting = next(
        (c for c in state.callbacks.sent if c.status in ("pending", "undelivered")), None
    )  # one by one, in order
    if waiting is None:
        return leave
    return (*leave, NotifyParent(f"callback:{waiting.number}", state.settings.parent_id, waiting.number, waiting.text))


def _provision(step: ProvisionStep, state: State) -> Effect:
    if step == "workspace":
        return ProvideWorkspace("workspace", _workspace_spec(state))
    if step == "setup" and state.setup is not None:
        setup = state.setup
        return SetUpWorkspace("setup", state.workspace_id, state.source_repository, setup.recipe, setup.attempt)
    if step == "instance" or state.opencode.instance_id is None:
        return AttachInstance(
            "instance", state.directory, state.settings.strategy, state.source_directory, state.source_repository
        )
    return OpenConversation(
        f"conversation:{state.opencode.instance_id}",
        state.opencode.instance_id,
        state.opencode.session_id,
        state.directory,
        state.settings.title,
        state.opencode.session_exists,
        None if state.opencode.session_exists else state.settings.origin,
        state.opencode.opened_by,
    )


def _workspace_spec(state: State) -> WorkspaceSpec:
    """Return the spec for the workspace; an existing workspace keeps its own spec."""
    return WorkspaceSpec(
        state.workspace_id,
        state.settings.strategy,
        state.source_directory,
        state.directory,
        state.settings.branch,
        state.settings.base_ref,
    )


def _running(state: State, instance_id: str) -> tuple[Effect, ...]:
    turn = state.turn
    where = (instance_id, state.opencode.session_id, state.directory)
    if turn is None:
        return (Settle(f"settle:{instance_id}", *where),)
    key = f"{turn.number}:{instance_id}"
    if not turn.delivered:
        prompt = replace(
            turn.prompt,
            agent=turn.prompt.agent or state.settings.agent,
            model=turn.prompt.model or state.settings.model,
        )
        doing: Effect = DeliverPrompt(f"deliver:{key}", *where, turn.message_id, turn.part_ids, prompt, turn.number)
    else:
        doing = FollowTurn(f"follow:{key}", *where, turn.message_id, turn.number)
    answers = tuple(
        AnswerOpenCode(f"answer:{request.id}", *where, request.id, request.kind, request.answer)
        for request in state.requests
        if request.answer is not None
    )
    steers = tuple(
        SteerTurn(f"steer:{prompt.prompt_id}:{instance_id}", *where, prompt.message_id, prompt.part_ids, prompt)
        for prompt in turn.steering
        if prompt.message_id is not None
    )
    if not turn.aborting:
        return (doing, *steers, *answers)
    return (doing, *answers, StopTurn(f"stop:{key}", *where, turn.number))


_ORDERS: Final[Mapping[type[Any], tuple[type[Effect], ...]]] = {
    events.SessionCreated: (ProvideWorkspace,),
    events.ResumeRequested: (ProvideWorkspace,),
    events.WorkspaceAttached: (AttachInstance, SetUpWorkspace),
    events.SetupEnded: (AttachInstance,),
    events.SetupSkipped: (AttachInstance,),
    events.InstanceAttached: (OpenConversation,),
    events.SessionResumed: (Settle, DeliverPrompt, FollowTurn, SteerTurn, StopTurn, AnswerOpenCode),
    TurnStarted: (DeliverPrompt,),
    TurnSteered: (SteerTurn,),
    PromptDelivered: (FollowTurn,),
    AbortRequested: (StopTurn,),
    RequestAnswered: (AnswerOpenCode,),
    events.SessionCompleted: (DetachInstance,),
    events.SessionStopped: (DetachInstance,),
    events.ProvisionFailed: (DetachInstance,),
    events.InstanceDetached: (AttachInstance,),  # it waited for this
    events.CallbackOrdered: (NotifyParent,),
    events.CallbackDelivered: (NotifyParent,),  # the next one
    events.CallbackDropped: (NotifyParent,),
    events.SessionErased: (EraseRecords,),
    events.StopRequested: (EndSession,),
    events.InstanceDetaching: (EndSession, DetachInstance),  # it restarts an `EndSession` that waits for the instance
}
"""The effects that each event adds or changes; an effect that runs unchanged is not ordered again."""


def react(state: State, event: events.SessionEvent) -> tuple[Effect, ...]:
    """Return the effects that `event` orders, given the state after it."""
    if isinstance(event, events.ProvisionFailed) and event.step != "conversation":
        return ()  # no instance had been attached
    ordered = _ORDERS.get(type(event), ())
    if not ordered:
        return ()
    return tuple(effect for effect in pending(state) if type(effect) in ordered and not _runs_already(effect, event))


def _runs_already(effect: Effect, event: events.SessionEvent) -> bool:
    """Return whether the effect already runs, for another request or an earlier callback than the event's."""
    match event, effect:
        case PromptDelivered(message_id=arrived, kept_as=kept), FollowTurn(message_id=other):
            return (kept or arrived) != other  # steering
        case TurnSteered(message_id=steered), SteerTurn(message_id=other):
            return steered != other
        case events.InstanceDetaching(leaves=False), DetachInstance():
            return True
        case RequestAnswered(request_id=answered), AnswerOpenCode(request_id=other):
            return answered != other
        case events.CallbackOrdered(number=n) | events.CallbackDelivered(number=n) | events.CallbackDropped(
            number=n
        ), NotifyParent():
            return effect.number < n
        case _:
            return False


_STEPS: Final[Mapping[type[Any], ProvisionStep]] = {
    ProvideWorkspace: "workspace",
    SetUpWorkspace: "setup",
    AttachInstance: "instance",
    OpenConversation: "conversation",
}


def failure(effect: Effect, code: str, detail: str, at_ms: int) -> SessionCommand | None:
    """Return the report that `effect` has failed; None if OpenCode may be at work, so that it must be retried."""
    step = _STEPS.get(type(effect))
    return None if step is None else ReportProvisionFailed(step=step, code=code, detail=detail, at_ms=at_ms)
