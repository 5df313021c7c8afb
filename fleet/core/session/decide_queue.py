"""Decides about the prompt queue: its limits, and how callers withdraw or edit a prompt in it, or steer with one.

A prompt leaves the queue when its turn begins. A prompt that was sent into a turn which ended first waits again with
the same ids, because OpenCode may have stored it. Such a prompt cannot be edited, and it cannot steer another turn:
it would be found in OpenCode's store and count as delivered although the agent has not read it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fleet.core.session.commands import EditPrompt, SteerPrompt, WithdrawPrompt
from fleet.core.session.events import SessionEvent
from fleet.core.session.state import RUNNING, QueuedPrompt, State
from fleet.core.session.turn_events import PromptEdited, PromptWithdrawn, TurnSteered
from fleet.core.session.values import COMPACT
from fleet.errors import Rejected
from fleet.limits import ATTACHMENTS_MAX, MIB, PROMPT_TEXT_BYTES_MAX, QUEUE_BYTES_MAX, QUEUE_PROMPTS_MAX
from fleet.ports import Attachment

_WAIT: Final = "Wait until a turn ends."


def check_prompt(text: str, attachments: Sequence[Attachment], command: str | None) -> None:
    """Check a prompt. Raises `Rejected` prompt_empty, too_large or invalid."""
    size = len(text.encode())
    if not text.strip() and not attachments and command is None:
        raise Rejected("prompt_empty", "a prompt needs text or attachments", field="text")
    if size > PROMPT_TEXT_BYTES_MAX:
        raise Rejected("too_large", f"the text is {size} bytes; the limit is {PROMPT_TEXT_BYTES_MAX}", field="text")
    if command == COMPACT and (text.strip() or attachments):
        raise Rejected("invalid", f"/{COMPACT} takes no arguments and no attachments", field="arguments")
    if len(attachments) > ATTACHMENTS_MAX:
        said = f"the prompt has {len(attachments)} attachments; the limit is {ATTACHMENTS_MAX}"
        raise Rejected("invalid", said, field="attachments")


def check_room(state: State) -> None:
    """Raise `Rejected` queue_full if the queue is at its limit."""
    for full, what in (
        (len(state.queue.prompts) >= QUEUE_PROMPTS_MAX, f"{QUEUE_PROMPTS_MAX} prompts"),
        (_size_bytes(state.queue.prompts) >= QUEUE_BYTES_MAX, f"{QUEUE_BYTES_MAX // MIB} MiB of prompts"),
    ):
        if full:
            raise Rejected("queue_full", f"{what} wait already", retry_after_s=30, hint=_WAIT)


def why_not_steerable(state: State) -> str | None:
    """Return why no prompt can be sent into a turn; None if one can.

    For a resumed turn OpenCode must have been seen working: if it has stopped, a prompt would begin another turn.
    """
    turn = state.turn
    if turn is None or state.phase not in RUNNING:
        return "no turn runs into which the prompt could be sent"
    if turn.aborting or not turn.delivered:
        return f"turn {turn.number} is being {'aborted' if turn.aborting else 'sent to OpenCode'}"
    if turn.resumed_at_ms != 0:
        return f"turn {turn.number} was resumed, and OpenCode has not been seen to work on it yet"
    return None


def _size_bytes(prompts: Sequence[QueuedPrompt]) -> int:
    return sum(len(each.text) + sum(len(attachment.url) for attachment in each.attachments) for each in prompts)


def _waiting(prompt_id: str, state: State) -> QueuedPrompt:
    for prompt in state.queue.prompts:
        if prompt.prompt_id == prompt_id:
            return prompt
    raise Rejected("prompt_not_found", f"prompt {prompt_id} does not wait in this session's queue")


def _unsent(prompt_id: str, state: State) -> QueuedPrompt:
    prompt = _waiting(prompt_id, state)
    if prompt.message_id is not None:
        said = f"prompt {prompt_id} was sent into a turn that ended first, and OpenCode may hold it"
        raise Rejected("prompt_sent", said, hint="It runs as a turn of its own; withdraw it and send another one.")
    return prompt


def _withdraw(command: WithdrawPrompt, state: State) -> tuple[SessionEvent, ...]:
    _waiting(command.prompt_id, state)
    return (PromptWithdrawn(prompt_id=command.prompt_id, reason="withdrawn", at_ms=command.at_ms),)


def _edit(command: EditPrompt, state: State) -> tuple[SessionEvent, ...]:
    prompt = _unsent(command.prompt_id, state)
    check_prompt(command.text, prompt.attachments, prompt.command)
    if prompt.command is None and command.text.startswith("/"):
        hint = "Withdraw it and run the command, or put a space before the slash."
        raise Rejected("invalid", "a prompt that waits cannot become a command", hint=hint, field="text")
    if command.text == prompt.text:
        return ()
    grows = len(command.text) - len(prompt.text)
    if grows > 0 and _size_bytes(state.queue.prompts) + grows > QUEUE_BYTES_MAX:
        detail = f"with this text more than {QUEUE_BYTES_MAX // MIB} MiB of prompts would wait"
        raise Rejected("queue_full", detail, retry_after_s=30, hint=_WAIT)
    return (PromptEdited(prompt_id=command.prompt_id, text=command.text, at_ms=command.at_ms),)


def _steer(command: SteerPrompt, state: State) -> tuple[SessionEvent, ...]:
    turn = state.turn
    if turn is not None and any(each.prompt_id == command.prompt_id for each in turn.steering):
        return ()
    prompt = _unsent(command.prompt_id, state)
    if prompt.command is not None:
        raise Rejected("invalid", f"/{prompt.command} is a command, which runs as a turn of its own")
    if (reason := why_not_steerable(state)) is not None:
        raise Rejected(
            "turn_not_steerable", reason, hint="It begins a turn of its own when the prompts before it are done."
        )
    parts = command.new_ids.part_ids(1 + len(prompt.attachments))
    return (
        TurnSteered(
            number=state.turns,
            prompt_id=command.prompt_id,
            message_id=command.new_ids.message_id,
            part_ids=parts,
            at_ms=command.at_ms,
        ),
    )


QUEUE: Final[Mapping[type[Any], Callable[[Any, State], tuple[SessionEvent, ...]]]] = {
    WithdrawPrompt: _withdraw,
    EditPrompt: _edit,
    SteerPrompt: _steer,
}
