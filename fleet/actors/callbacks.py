"""Word from child to parent: the callback's prompt, given to the parent's logical session exactly once.

The prompt goes under a command id of its own, by which the log itself refuses a second one, whatever crashes. A parent
that can't take it (stopped, disconnected, its queue full) is waited for; a completed one is brought back.
"""

import hashlib

import structlog
import trio

from fleet.actors.aggregate import Deliver, Report
from fleet.actors.causes import cause_here
from fleet.actors.context import Context
from fleet.core.session import messages as m
from fleet.core.session.effects import NotifyParent
from fleet.core.session.state import State
from fleet.errors import Rejected, Unavailable
from fleet.limits import CALLBACK_RETRY_S

_log = structlog.get_logger(__name__)


class Callbacks:
    """Delivers callbacks."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def notify(self, session_id: str, effect: NotifyParent, report: Report[m.Command]) -> None:
        """Give the prompt to the parent, however long that takes; called off when the callback is over."""
        clock = self._context.clock
        while True:
            parent = self._context.views.sessions.get(effect.parent_id)
            if parent is None:
                await report(m.ReportCallbackDropped(effect.number, "the parent was erased", clock.now_ms()))
                return
            try:
                await self._submit(session_id, effect, resume=parent.phase == "completed")
            except Rejected as rejected:
                await report(m.ReportCallbackUndelivered(effect.number, rejected.detail, clock.now_ms()))
            except Unavailable as unavailable:
                _log.warning("callback_retried", session=session_id, code=unavailable.code)
            else:
                await report(m.ReportCallbackDelivered(effect.number, clock.now_ms()))
                return
            await self._change_of(parent)

    async def _change_of(self, parent: State) -> None:
        """Wait until something has happened to the parent, for a while."""
        with trio.move_on_after(CALLBACK_RETRY_S):
            await self._context.views.sessions.change_of(parent.id, parent)

    async def _submit(self, session_id: str, effect: NotifyParent, *, resume: bool) -> None:
        name = m.callback_id(session_id, effect.number)
        context = self._context
        prompt = m.SubmitPrompt(name, effect.text, context.clock.now_ms(), context.fresh(), resume=resume)
        cause = cause_here(f"session:{session_id}")
        digest = hashlib.sha256(effect.text.encode()).digest()
        await context.peers.sessions.ask(effect.parent_id, Deliver(prompt, cause, name, digest))
