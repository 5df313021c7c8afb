"""The mandates of a session: the prompt of a turn, the turn itself, a prompt that steers it, the request to end it.

An append may end one person's turn and begin another's; its events have different causes then.
"""

from typing import Final

from fleet.core.mandate import Mandates
from fleet.core.session.effects import DeliverPrompt, Effect, FollowTurn, SteerTurn, StopTurn
from fleet.core.session.events import SessionEvent, StopRequested
from fleet.core.session.state import State
from fleet.core.session.turn_events import (
    AbortRequested,
    ChangesRecorded,
    MessageRecorded,
    PartRecorded,
    PromptAccepted,
    StepSnapshotTaken,
    TurnEnded,
    TurnSnapshotTaken,
    TurnStarted,
    TurnSteered,
)

_END: Final = "end"
"""The newest request to end the running turn: an abort, or the end of the session."""


def _given_by(event: SessionEvent) -> str | None:
    match event:
        case PromptAccepted():
            return _prompt(event.prompt_id)
        case TurnStarted():
            return _turn(event.number)
        case TurnSteered():
            return _steering(event.prompt_id)
        case AbortRequested() | StopRequested():
            return _END
        case _:
            return None


def _of_event(event: SessionEvent, state: State) -> str | None:
    match event:
        case TurnStarted():
            return _prompt(event.prompt_id)
        case TurnEnded(outcome="aborted"):
            return _END
        case TurnEnded() if state.provisioning is not None:  # it is found to have been left on another host
            return _turn(event.number)
        case TurnSnapshotTaken() | StepSnapshotTaken() | ChangesRecorded():
            return _turn(event.number)
        case MessageRecorded() | PartRecorded() if state.stopping:  # read by the effect that ends the session
            return _turn(state.turns)
        case _:
            return None


def _of_effect(effect: Effect) -> str | None:
    match effect:
        case DeliverPrompt() | FollowTurn():
            return _turn(effect.number)
        case SteerTurn():
            return _steering(effect.prompt.prompt_id)
        case StopTurn():
            return _END
        case _:
            return None


def _open(state: State) -> frozenset[str]:
    prompts = {_prompt(prompt.prompt_id) for prompt in state.queue.prompts}
    turn = state.turn
    if turn is None:
        return frozenset(prompts)
    steering = [prompt.prompt_id for prompt in turn.steering]  # it waits again if the turn ends first
    ending = (_END,) if turn.aborting or state.stopping else ()
    return frozenset((*prompts, *map(_prompt, steering), *map(_steering, steering), _turn(turn.number), *ending))


def _prompt(prompt_id: str) -> str:
    return f"prompt:{prompt_id}"


def _turn(number: int) -> str:
    return f"turn:{number}"


def _steering(prompt_id: str) -> str:
    return f"steering:{prompt_id}"


MANDATES: Final[Mandates[State, SessionEvent, Effect]] = Mandates(_given_by, _of_event, _of_effect, _open)
