"""Deletes what OpenCode holds of a session that is erased, and says what stays outside of Fleet.

It works before the log erases the session, because only the log knows what OpenCode calls it. So the next start does
this work after a crash, too.
"""

import structlog
import trio

from fleet.actors.context import Context
from fleet.core.session.state import State
from fleet.errors import Problem
from fleet.limits import OUTSIDE_COPY_S
from fleet.ports import Host

_log = structlog.get_logger(__name__)


class OutsideCopies:
    """The copies of sessions outside of Fleet."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def delete(self, session: State) -> list[str]:
        """Delete the session's conversations from OpenCode's store; return a sentence for each that may stay.

        OpenCode may have one that the session has never opened: it is created ahead, or just before a crash.
        """
        left, host = list[str](), self._context.host_of(session.workspace_id)
        for opencode_id in filter(None, (*session.opencode.earlier_session_ids, session.opencode.session_id)):
            reason = await self._deleted(host, opencode_id)
            if reason is not None:
                left.append(f"OpenCode may still have the conversation {opencode_id}: {reason}")
        return left

    async def _deleted(self, host: Host, opencode_id: str) -> str | None:
        """Delete a conversation; return why it may still be there."""
        with trio.move_on_after(OUTSIDE_COPY_S):
            try:
                await self._delete(host, opencode_id)
            except Problem as problem:
                return problem.detail
            return None
        return f"it was not deleted within {OUTSIDE_COPY_S:.0f} s"

    async def _delete(self, host: Host, opencode_id: str) -> None:
        """Delete it through any OpenCode process of its host, because they share their store; else by a command.

        OpenCode may just be creating it: to delete what does not exist yet would leave it.
        """
        await self._context.connections.wait_created(opencode_id)
        for instance in self._context.views.instances.alive():
            client = self._context.connections.current(instance.id)
            if client is None or instance.host != host.name:
                continue
            try:
                return await client.delete_session(opencode_id)
            except Problem as problem:
                _log.info("conversation_not_deleted", instance=instance.id, code=problem.code)
        return await host.opencode.delete_session(opencode_id)
