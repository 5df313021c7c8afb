"""Records in the log what a reply of `always` allowed, because OpenCode then asks no session in that directory again.

Rule kept here: the process's stream has the event before OpenCode gets the reply, so the log explains everything that a
session does because of it.
"""

from typing import Final

import msgspec
import structlog

from fleet.actors.context import Context
from fleet.actors.runtime.aggregate import Deliver
from fleet.actors.runtime.causation import cause_here
from fleet.core.instance.commands import NoteAllowance
from fleet.core.session.effects import AnswerOpenCode
from fleet.errors import Problem

_log = structlog.get_logger(__name__)


class _Permission(msgspec.Struct):
    permission: str = ""
    patterns: tuple[str, ...] = ()
    always: tuple[str, ...] = ()


_decode: Final = msgspec.json.Decoder(_Permission).decode


async def note_allowance(context: Context, session_id: str, effect: AnswerOpenCode) -> None:
    """Record the permission if the reply is `always`."""
    state = context.views.sessions.get(session_id)
    asked = [] if state is None else [each for each in state.requests if each.id == effect.request_id]
    if effect.kind != "permission" or effect.answer.reply != "always" or not asked:
        return
    permission, patterns = allowance_of(asked[0].body)
    now_ms = context.clock.now_ms()
    note = NoteAllowance(
        session_id=session_id,
        request_id=asked[0].id,
        directory=effect.directory,
        permission=permission,
        patterns=patterns,
        at_ms=now_ms,
    )
    try:
        await context.actors.instances.ask(effect.instance_id, Deliver(note, cause_here(f"session:{session_id}")))
    except Problem as problem:  # OpenCode gets the answer nevertheless
        _log.warning("allowance_not_noted", session=session_id, code=problem.code, detail=problem.detail)


def allowance_of(body: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the permission that `always` grants and its patterns, from a request in OpenCode's JSON."""
    try:
        asked = _decode(body)
    except msgspec.MsgspecError:
        return "", ()
    return asked.permission, asked.always or asked.patterns
