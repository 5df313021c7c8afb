"""Delivers prompts to OpenCode: the prompt that starts a turn, and those that steer it.

Delivery is proved by reading the message back; sending again with the same ids is harmless (opencode-facts 5.2).
turn.py follows the turn.
"""

from collections.abc import Awaitable, Callable

import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.effects.diffs import DiffEffects
from fleet.actors.effects.directory_release import DirectoryReleases
from fleet.actors.effects.live_events import LiveEvents, LiveSession
from fleet.actors.effects.slash_commands import names, unknown
from fleet.actors.effects.workspace_check import missing
from fleet.actors.runtime.aggregate import ReportBack
from fleet.actors.runtime.causation import cause_here
from fleet.backoff import backoff_s
from fleet.core.session import effects as e
from fleet.core.session.commands import SessionCommand
from fleet.core.session.report_commands import ReportPromptDelivered, ReportTurnFailed
from fleet.core.session.state import State
from fleet.core.session.values import COMPACT
from fleet.errors import Problem, Unavailable
from fleet.limits import (
    DELIVERY_ATTEMPTS_MAX,
    DELIVERY_CONFIRM_TIMEOUT_S,
    DELIVERY_ERROR_GRACE_S,
    DELIVERY_POLL_S,
    DELIVERY_RETRY_S_MAX,
    TRANSCRIPT_TAIL_MESSAGES,
)
from fleet.ports import OpenCode, Prompt

_log = structlog.get_logger(__name__)

Reporter = ReportBack[SessionCommand]
Sending = e.DeliverPrompt | e.SteerTurn


class Deliveries:
    """The effects of a session that send prompts."""

    def __init__(
        self, context: Context, live_events: LiveEvents, diffs: DiffEffects, releases: DirectoryReleases
    ) -> None:
        self._context = context
        self._live_events = live_events
        self._diffs = diffs
        self._releases = releases

    def _now(self) -> int:
        return self._context.clock.now_ms()

    async def deliver(self, session_id: str, effect: e.DeliverPrompt, report: Reporter) -> None:
        """Send the prompt unless OpenCode has it, read it back, and report."""
        await self._diffs.begin(session_id, effect.number, report)
        live = self._live_events.of(session_id)
        live.cause = cause_here()
        unanswered = unkept = 0
        while unkept < DELIVERY_ATTEMPTS_MAX:
            may_be_kept = effect.number != live.next_turn
            live.next_turn = None
            try:
                if (kept := await self._delivered(session_id, effect, may_be_kept)) is not None:
                    kept_as = None if kept == effect.message_id else kept
                    await report(
                        ReportPromptDelivered(message_id=effect.message_id, at_ms=self._now(), kept_as=kept_as)
                    )
                    return
                if live.error is not None:
                    name, message = await self._error(effect, live.error)
                    await report(ReportTurnFailed(number=effect.number, code=name, detail=message, at_ms=self._now()))
                    return
            except Unavailable as unavailable:
                # OpenCode may have the prompt, so this is not a failure; the end of the instance cancels it.
                _log.warning("delivery_retried", session=session_id, attempt=unanswered, code=unavailable.code)
                await trio.sleep(backoff_s(unanswered + 1, first_s=DELIVERY_POLL_S[-1], max_s=DELIVERY_RETRY_S_MAX))
                unanswered += 1
                continue
            except Problem as problem:
                await report(
                    ReportTurnFailed(number=effect.number, code=problem.code, detail=problem.detail, at_ms=self._now())
                )
                return
            unkept += 1
        failure = "OpenCode took the prompt and did not keep it"
        await report(ReportTurnFailed(number=effect.number, code="opencode_refused", detail=failure, at_ms=self._now()))

    async def _delivered(self, session_id: str, effect: e.DeliverPrompt, may_be_kept: bool) -> str | None:
        """Send the prompt unless OpenCode has it; return the id of its message, None if OpenCode did not store it."""
        client = await self._context.connections.get(effect.instance_id)
        live = self._live_events.of(session_id)
        state = self._context.views.sessions.get(session_id)
        since_ms = 0 if state is None else state.turn_started_at_ms

        async def kept() -> str | None:
            if effect.prompt.command == COMPACT:
                return await _compaction(client, effect.opencode_id, since_ms)
            return effect.message_id if await _is_kept(client, effect) else None

        # A prompt that was to steer an earlier turn may be stored but unread: sent again, OpenCode runs it.
        if may_be_kept and effect.prompt.message_id is None and (found := await kept()) is not None:
            return found
        await self._releases.wait_over(effect.instance_id, effect.directory)
        live.begin()
        if (lost := await missing(self._context, session_id, again=False)) is not None:
            # What was sent before a crash may be on its way still: it runs, and is followed.
            if may_be_kept and (found := await self._read_back(live, kept)) is not None:
                return found
            raise Problem("workspace_gone", lost)
        if state is not None and not state.digest_by_id:  # without a name OpenCode would ask a model for one
            await live.name(effect.opencode_id, state.settings.title, client)
        await self._send(client, effect, state)
        return await self._read_back(live, kept)

    async def _send(self, client: OpenCode, effect: e.DeliverPrompt, state: State | None) -> None:
        """Send the prompt, or run its command. Raises `Problem`, also for an unknown command."""
        command = effect.prompt.command
        if command == COMPACT:
            provider_id, model_id = _model(effect, state)
            await client.compact(effect.opencode_id, effect.directory, provider_id, model_id)
            return
        if command is not None and command not in (known := await names(client, effect.directory)):
            raise unknown(command, known)
        await client.prompt(effect.opencode_id, effect.directory, _prompt(effect))

    async def _error(self, effect: e.DeliverPrompt, said: tuple[str, str]) -> tuple[str, str]:
        """Return why OpenCode did not store a prompt: a missing session shows only as an error of its database."""
        client = await self._context.connections.get(effect.instance_id)
        if await client.read_session(effect.opencode_id) is not None:
            return said
        return "session_gone", f"OpenCode's store has no session {effect.opencode_id} any more"

    async def _read_back(self, live: LiveSession, kept: Callable[[], Awaitable[str | None]]) -> str | None:
        """Return the result of `kept` once it finds the prompt; None after a timeout or an error of OpenCode."""
        deadline = trio.current_time() + DELIVERY_CONFIRM_TIMEOUT_S
        look = 0
        while trio.current_time() < deadline:
            await trio.sleep(DELIVERY_POLL_S[min(look, len(DELIVERY_POLL_S) - 1)])
            look += 1
            if (found := await kept()) is not None:
                return found
            if live.error is not None:
                deadline = min(deadline, trio.current_time() + DELIVERY_ERROR_GRACE_S)
        return None

    async def steer(self, session_id: str, effect: e.SteerTurn, report: Reporter) -> None:
        """Send a prompt into the running turn; cancelled if the turn ends first, and then the prompt waits again.

        If OpenCode does not store it, it waits for its own turn, which reports the error. It is not retried here: each
        attempt would count as activity, so that a hung turn would never be given up.
        """
        live = self._live_events.of(session_id)
        client = await self._context.connections.wait(effect.instance_id)

        async def kept() -> str | None:
            return effect.message_id if await _is_kept(client, effect) else None

        unkept = 0
        while unkept < DELIVERY_ATTEMPTS_MAX:
            try:
                if not await _is_kept(client, effect):
                    await client.prompt(effect.opencode_id, effect.directory, _prompt(effect))
                if await self._read_back(live, kept) is not None:
                    await report(ReportPromptDelivered(message_id=effect.message_id, at_ms=self._now()))
                    return
                unkept += 1
            except Unavailable as unavailable:
                _log.warning("steering_retried", session=session_id, code=unavailable.code)
            except Problem as problem:
                _log.warning("steering_refused", session=session_id, code=problem.code, detail=problem.detail)
                return
            await trio.sleep(DELIVERY_POLL_S[-1])
        _log.warning("steering_given_up", session=session_id, attempts=unkept)


async def _compaction(client: OpenCode, opencode_id: str, since_ms: int) -> str | None:
    """Return the message that has summed up the conversation since then; None if there is none yet."""
    newest = await client.read_messages(opencode_id, TRANSCRIPT_TAIL_MESSAGES)
    began = (message for message in newest if message.info.created_ms >= since_ms)
    return next((each.info.id for each in began if any(part.type == "compaction" for part in each.parts)), None)


def _model(effect: e.DeliverPrompt, state: State | None) -> tuple[str, str]:
    """Return the model for the summary: the session's, or that of the newest answer. Raises `Problem`."""
    if effect.prompt.model is not None:
        return effect.prompt.model.provider_id, effect.prompt.model.model_id
    if state is None or state.context is None or not state.context.model_id:
        raise Problem("invalid", "the conversation is empty: there is nothing to compact")
    return state.context.provider_id, state.context.model_id


async def _is_kept(client: OpenCode, effect: Sending) -> bool:
    """Return whether OpenCode's store has the whole prompt: the message is stored a moment before its parts."""
    message = await client.read_message(effect.opencode_id, effect.message_id)
    if effect.prompt.command is not None:
        return message is not None  # OpenCode gives a command's parts their ids
    return message is not None and {part.id for part in message.parts}.issuperset(effect.part_ids)


def _prompt(effect: Sending) -> Prompt:
    prompt = effect.prompt
    return Prompt(
        effect.message_id,
        effect.part_ids,
        prompt.text,
        prompt.attachments,
        prompt.agent,
        None if prompt.model is None else prompt.model.provider_id,
        None if prompt.model is None else prompt.model.model_id,
        prompt.command,
    )
