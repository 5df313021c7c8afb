"""Derives the result of a turn from OpenCode's messages, once OpenCode says that nothing runs.

An idle event alone proves nothing: it may come twice, early, or not at all. So the messages decide, and there is no
result while some of them may still be missing.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from fleet.limits import TURN_INCOMPLETE_GRACE_S, TURN_START_GRACE_S
from fleet.ports import Message, MessageInfo

ABORTED = "MessageAbortedError"
GOES_ON: Final = frozenset(("tool-calls", "unknown"))
"""A step that ends so is followed by another call of the model, unless a permission was rejected."""


class TurnResult(msgspec.Struct, frozen=True):
    """The outcome; `code` is OpenCode's error name where it failed."""

    outcome: Literal["finished", "aborted", "interrupted", "failed"]
    detail: str
    code: str = ""


def assistant_messages(messages: Sequence[Message], message_id: str) -> list[MessageInfo]:
    """Return the assistant messages of the turn that `message_id` began; `messages` are oldest first.

    All that follow the prompt belong to it: compaction inserts its own user messages.
    """
    ids = [message.info.id for message in messages]
    start = ids.index(message_id) + 1 if message_id in ids else 0
    return [message.info for message in messages[start:] if message.info.role == "assistant"]


def is_unread(messages: Sequence[Message], message_id: str) -> bool:
    """Return whether a prompt that steered the turn of `message_id` is newer than every answer."""
    return bool(messages) and messages[-1].info.role == "user" and messages[-1].info.id != message_id


def turn_result(
    turn: Sequence[MessageInfo],
    *,
    idle_s: float,
    aborting: bool,
    error: tuple[str, str] | None,
    process_since_ms: int = 0,
    unread: bool = False,
) -> TurnResult | None:
    """Return how the turn ended, or None while that is not known.

    `turn`: its assistant messages; `idle_s`: seconds for which OpenCode has been seen idle; `error`: name and message
    of the first `session.error`; `process_since_ms`: the start of the process that is idle; `unread`: the newest
    message is a prompt.
    """
    if not turn or unread:
        return _unanswered(idle_s, aborting, error)
    last = turn[-1]
    if last.error_name == ABORTED:
        return TurnResult("aborted", "OpenCode says that the turn was aborted")
    if last.error_name is not None:
        return TurnResult("failed", last.error_message or last.error_name, last.error_name)
    if last.completed_ms is not None and last.finish in GOES_ON and last.completed_ms < process_since_ms:
        outcome: Final = "aborted" if aborting else "interrupted"
        return TurnResult(
            outcome, f"the OpenCode process that ran it is gone, after a step that ended with {last.finish}"
        )
    if last.completed_ms is not None and last.finish is not None:
        return TurnResult("finished", f"OpenCode is idle and its last message ended with {last.finish}")
    if idle_s < TURN_INCOMPLETE_GRACE_S:
        return None
    if aborting:
        return TurnResult("aborted", "OpenCode is idle and left its last message unfinished")
    if error is not None and error[0] != ABORTED:  # the message that names it may come later still
        return _failed(error)
    return TurnResult("interrupted", "OpenCode is idle and left its last message unfinished")


def _unanswered(idle_s: float, aborting: bool, error: tuple[str, str] | None) -> TurnResult | None:
    if aborting and idle_s >= TURN_INCOMPLETE_GRACE_S:
        return TurnResult("aborted", "aborted before OpenCode had begun to answer")
    if error is not None and idle_s >= TURN_INCOMPLETE_GRACE_S:
        return _failed(error)
    if idle_s >= TURN_START_GRACE_S:
        return TurnResult("interrupted", "OpenCode is idle and has not answered")
    return None


def _failed(error: tuple[str, str]) -> TurnResult:
    name, message = error
    return TurnResult("failed", message or name, name)
