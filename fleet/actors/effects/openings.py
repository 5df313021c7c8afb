"""Opens the conversation of a session in OpenCode: finds it, creates it, copies it for a fork, or restores it.

A host that is silent meanwhile is waited for; if it is lost, the session is lost with it.
"""

from contextlib import suppress
from itertools import takewhile
from typing import Final

from fleet.actors.context import Context
from fleet.actors.effects.host_calls import await_answer, is_away
from fleet.actors.effects.live_events import LiveEvents
from fleet.actors.effects.restored_conversations import RestoredConversations
from fleet.actors.runtime.aggregate import ReportBack
from fleet.core.session.commands import SessionCommand
from fleet.core.session.effects import OpenConversation
from fleet.core.session.report_commands import (
    ReportConversationOpen,
    ReportProvisionDelayed,
    ReportProvisionFailed,
)
from fleet.core.session.values import ForkPoint, ProvisionStep
from fleet.errors import Problem, Unavailable
from fleet.ports import Message, OpenCode, OpenCodeSession

_AWAY: Final = frozenset(("host_unreachable", "opencode_unreachable", "engine_down"))
"""The problems of a call to a host that does not answer."""


class Openings:
    """Opens the conversations of all sessions."""

    def __init__(self, context: Context, live_events: LiveEvents, restored: RestoredConversations) -> None:
        self._context = context
        self._live_events = live_events
        self._restored = restored

    def _now(self) -> int:
        return self._context.clock.now_ms()

    async def open(self, session_id: str, effect: OpenConversation, report: ReportBack[SessionCommand]) -> None:
        """Open the conversation and report, or report that the session's host is lost. Raises `Problem`."""
        if not effect.exists:
            self._live_events.of(session_id).next_turn = 1
        host = self._context.host_of_instance(effect.instance_id).name
        while True:
            try:
                opened = await self._conversation(session_id, effect)
            except Unavailable as problem:
                if problem.code not in _AWAY or not await is_away(self._context, host):
                    raise
                reason = f"waits for its host: {problem.detail}"
                await report(ReportProvisionDelayed(step="conversation", reason=reason, at_ms=self._now()))
                if not await await_answer(self._context, host):
                    evidence = f"its host {host} is lost: {problem.detail}"
                    await report(lost_with_host("conversation", evidence, self._now()))
                    return
            else:
                await report(opened)
                return

    async def _conversation(self, session_id: str, effect: OpenConversation) -> SessionCommand:
        client = await self._context.connections.get(effect.instance_id)
        if self._restored.is_due(effect):
            self._context.connections.load(effect.instance_id, effect.directory)
            opencode_id = await self._restored.restore(session_id, effect, client)
            return ReportConversationOpen(
                opencode_id=opencode_id, at_ms=self._now(), new_ids=self._context.new_turn_ids(), restored=True
            )
        if not effect.exists:
            opencode_id = await client.create_session(effect.opencode_id, effect.directory)
            copied: tuple[Message, ...] = ()
            if effect.origin is not None:
                session = await client.name_session(opencode_id, effect.title)
                copied = await self._copied(effect.instance_id, client, effect.origin, session)
            elif effect.opened_by is not None:
                await client.name_session(opencode_id, effect.title)
            else:
                self._name_later(session_id, effect, opencode_id)
            return ReportConversationOpen(
                opencode_id=opencode_id, at_ms=self._now(), new_ids=self._context.new_turn_ids(), copied=copied
            )
        found = await client.read_session(effect.opencode_id)
        if found is None:
            raise Problem("session_gone", f"OpenCode's store has no session {effect.opencode_id} any more")
        if found.directory != effect.directory:  # the data directory, or the project, is elsewhere now
            host = self._context.host_of_instance(effect.instance_id).opencode
            await host.move_session(found, effect.directory)
        return ReportConversationOpen(
            opencode_id=effect.opencode_id, at_ms=self._now(), new_ids=self._context.new_turn_ids()
        )

    def _name_later(self, session_id: str, effect: OpenConversation, opencode_id: str) -> None:
        """Let OpenCode name the session, for which it loads the directory, while others can use the session already.

        The first prompt waits for the name.
        """
        live = self._live_events.of(session_id)

        async def name(client: OpenCode) -> None:
            with suppress(Problem):
                await live.name(opencode_id, effect.title, client)

        self._context.connections.start(effect.instance_id, name)

    async def _copied(
        self, instance_id: str, client: OpenCode, origin: ForkPoint, session: OpenCodeSession
    ) -> tuple[Message, ...]:
        """Copy the messages of its origin into a fork, read them back and return them; a partial copy is completed.

        OpenCode on another host than the origin's does not have them: then they are those of the log.
        """
        recorded = await self._restored.of_origin(origin, instance_id)
        messages = await client.read_messages(origin.opencode_id) if recorded is None else recorded
        kept = tuple(takewhile(lambda message: message.info.id != origin.message_id, messages))
        if not kept:
            return ()
        await self._context.host_of_instance(instance_id).opencode.copy_messages(kept, session)
        copied = await client.read_messages(session.id)
        if len(copied) < len(kept):
            said = f"OpenCode imported {len(copied)} of the {len(kept)} messages of the session that is forked"
            raise Problem("opencode_refused", said)
        return copied


def lost_with_host(step: ProvisionStep, evidence: str, at_ms: int) -> SessionCommand:
    """Return the report that the host is lost on which a session was at this step."""
    return ReportProvisionFailed(step=step, code="host_unreachable", detail=evidence, host_lost=True, at_ms=at_ms)
