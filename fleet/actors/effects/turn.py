"""Follows a turn in OpenCode to its end, and stops it. prompt_delivery.py has sent its prompt.

The end is derived from three signs: an idle event or a timer; a status list without the session, before and after the
messages are read; and the messages, from which core/turn_result.py derives the result. A turn does not end while a
prompt is being sent into it, because that prompt would run unobserved. OpenCode retries and waits without a limit;
limits.py has Fleet's limits.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.effects.allowances import note_allowance
from fleet.actors.effects.delays import Delays
from fleet.actors.effects.diffs import DiffEffects
from fleet.actors.effects.live_events import LiveEvents, LiveSession
from fleet.actors.effects.moves import why_drained
from fleet.actors.effects.opencode_messages import read_since, read_subagents, read_tail
from fleet.actors.effects.saving import save_session
from fleet.actors.effects.step_trees import StepTrees
from fleet.actors.effects.workspace_check import missing
from fleet.actors.runtime.aggregate import ReportBack
from fleet.actors.runtime.causation import cause_here
from fleet.actors.runtime.retry import Patience, persist
from fleet.core.session import effects as e
from fleet.core.session.commands import SessionCommand
from fleet.core.session.report_commands import (
    ReportRequestClosed,
    ReportRequestOpened,
    ReportSettled,
    ReportTranscript,
    ReportTurnEnded,
    ReportTurnFailed,
)
from fleet.core.turn_result import TurnResult, assistant_messages, is_unread, turn_result
from fleet.errors import Problem
from fleet.limits import (
    ABORT_GRACE_S,
    DELIVERY_CONFIRM_TIMEOUT_S,
    DELIVERY_LATE_GRACE_S,
    DISK_FREE_BYTES_MIN,
    OPENCODE_REFUSED_S,
    REPLY_RETRY_S,
    TURN_POLL_S,
    TURN_RECHECK_S,
    TURN_RETRY_S,
    TURN_SETTLE_S,
    TURN_SILENCE_S,
    TURN_UNKNOWN_STEPS_MAX,
)
from fleet.ports import LOCAL, Message, OpenCode

_log = structlog.get_logger(__name__)

Reporter = ReportBack[SessionCommand]


class TurnEffects:
    """The effects of a session that concern a turn."""

    def __init__(self, context: Context, live_events: LiveEvents, diffs: DiffEffects) -> None:
        self._context = context
        self._live_events = live_events
        self._diffs = diffs
        self._delays = Delays(context, live_events)
        self._steps = StepTrees(context, live_events, diffs)

    def _now(self) -> int:
        return self._context.clock.now_ms()

    # -------------------------------------------------------------------------------------------------------- follow

    async def follow(self, session_id: str, effect: e.FollowTurn, report: Reporter) -> None:
        """Follow the turn to its end, record its messages, and report the outcome."""
        self._live_events.of(session_id).cause = cause_here()
        client = await self._context.connections.wait(effect.instance_id)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._steps.take, session_id, effect.number, report)
            ended = await self._ended(session_id, client, effect, report)
            nursery.cancel_scope.cancel()
        await self._report(session_id, client, effect, ended, report)

    async def _ended(self, session_id: str, client: OpenCode, effect: e.FollowTurn, report: Reporter) -> TurnResult:
        """Return the result of the turn when it has ended, or was given up."""
        live = self._live_events.of(session_id)
        idle_since_s: float | None = None
        patience = _patience("turn_unobserved", session_id)
        while True:
            await live.wait_for_activity(TURN_POLL_S if idle_since_s is None else TURN_RECHECK_S)
            try:
                asked_s = trio.current_time()
                statuses = await client.statuses(effect.directory)
                if effect.opencode_id in statuses:
                    idle_since_s = None
                    self._live_events.look(session_id, effect.opencode_id, statuses, asked_s)
                    given_up = await self._attend(session_id, client, effect, report)
                    patience.succeeded()
                    if given_up is None:
                        continue
                    return given_up
                idle_since_s = idle_since_s if idle_since_s is not None else trio.current_time()
                await trio.sleep(TURN_SETTLE_S)
                messages = await read_tail(client, effect.opencode_id, effect.message_id)
                if effect.opencode_id in await client.statuses(effect.directory):
                    idle_since_s = None  # what was read may be of before
                    continue
                patience.succeeded()
                idle_s = trio.current_time() - idle_since_s
                ended = self._judge(session_id, effect, messages, idle_s)
                if ended is None or not await self._is_over(session_id, client, effect, ended, idle_s):
                    continue
            except Problem as problem:
                if not patience.ends_with(problem):
                    continue
                with suppress(Problem):
                    await self.abort_until_idle(client, effect.opencode_id, effect.directory)
                ended = TurnResult("failed", problem.detail, problem.code)
            return ended

    async def _attend(
        self, session_id: str, client: OpenCode, effect: e.FollowTurn, report: Reporter
    ) -> TurnResult | None:
        """Report what a running turn waits for. Return why it was given up and aborted; None if it continues."""
        live = self._live_events.of(session_id)
        overdue = self._overdue(session_id, live)
        if overdue is not None or live.gaps_filled < live.gaps:
            await self._catch_up(session_id, client, effect, report)
            overdue = self._overdue(session_id, live)
        if overdue is None:
            await self._requests(session_id, client, effect, report)
            await self._delays.report_delay(session_id, client, effect, report)
            return None
        steered = self._steered(session_id, effect.number)
        await self.abort_until_idle(client, effect.opencode_id, effect.directory, twice=steered)
        return overdue

    def _judge(
        self, session_id: str, effect: e.FollowTurn, messages: Sequence[Message], idle_s: float
    ) -> TurnResult | None:
        return turn_result(
            assistant_messages(messages, effect.message_id),
            idle_s=idle_s,
            aborting=self._aborting(session_id, effect.number),
            error=self._live_events.of(session_id).error,
            process_since_ms=self._process_since_ms(effect.instance_id),
            unread=is_unread(messages, effect.message_id),
        )

    async def _is_over(
        self, session_id: str, client: OpenCode, effect: e.FollowTurn, ended: TurnResult, idle_s: float
    ) -> bool:
        """Return whether no prompt that was to steer the turn runs or will run: it would run unobserved."""
        if not self._steered(session_id, effect.number):
            return True
        aborting = self._aborting(session_id, effect.number)
        if not aborting and idle_s < DELIVERY_CONFIRM_TIMEOUT_S:
            return False  # it may still arrive, and continue the turn
        if ended.outcome == "finished" and not aborting:
            return True  # it begins the next turn
        return await self.abort_until_idle(client, effect.opencode_id, effect.directory, twice=True)

    async def _catch_up(self, session_id: str, client: OpenCode, effect: e.FollowTurn, report: Reporter) -> None:
        """Read from the store what events should have reported about the turn."""
        live = self._live_events.of(session_id)
        gaps = live.gaps
        messages = [*await read_tail(client, effect.opencode_id, effect.message_id)]
        since_ms = self._turn_since_ms(session_id)
        subagents = await read_subagents(client, effect.opencode_id, since_ms)
        for subagent in subagents:
            messages += await read_since(client, subagent.id, since_ms)
        process_since_ms = self._process_since_ms(effect.instance_id)
        await report(self._live_events.catch_up(session_id, messages, subagents, process_since_ms))
        live.gaps_filled = gaps

    def _overdue(self, session_id: str, live: LiveSession) -> TurnResult | None:
        """Return why a running turn is to be given up; a turn that waits for a person or a tool is not silent."""
        state = self._context.views.sessions.get(session_id)
        parts = self._context.inflight.snapshot(frozenset((session_id,)))[session_id]
        if (state is not None and state.requests) or any(part.type == "tool" for part in parts):
            live.active_s = trio.current_time()
        return _overdue(live)

    def _process_since_ms(self, instance_id: str) -> int:
        instance = self._context.views.instances.get(instance_id)
        return 0 if instance is None else instance.created_at_ms

    def _turn_since_ms(self, session_id: str) -> int:
        state = self._context.views.sessions.get(session_id)
        return 0 if state is None else state.turn_started_at_ms

    def _aborting(self, session_id: str, number: int) -> bool:
        state = self._context.views.sessions.get(session_id)
        turn = None if state is None else state.turn
        return turn is not None and turn.number == number and turn.aborting

    def _steered(self, session_id: str, number: int) -> bool:
        """Return whether a prompt is being sent into the turn."""
        state = self._context.views.sessions.get(session_id)
        turn = None if state is None else state.turn
        return turn is not None and turn.number == number and bool(turn.steering)

    async def abort_until_idle(
        self, client: OpenCode, opencode_id: str, directory: str, *, twice: bool = False
    ) -> bool:
        """Abort the turn, wait as long as OpenCode needs to kill a tool, and return whether nothing runs.

        With `twice` this is repeated after a moment: an unresponsive process may begin a received prompt only then.
        """
        if not await self._abort(client, opencode_id, directory):
            return False
        if not twice:
            return True
        await trio.sleep(DELIVERY_LATE_GRACE_S)
        return await self._abort(client, opencode_id, directory)

    async def _abort(self, client: OpenCode, opencode_id: str, directory: str) -> bool:
        with trio.move_on_after(ABORT_GRACE_S):
            while opencode_id in await client.statuses(directory):
                await client.abort(opencode_id, directory)
                await trio.sleep(TURN_RECHECK_S)
            return True
        return False

    async def _requests(self, session_id: str, client: OpenCode, effect: e.FollowTurn, report: Reporter) -> None:
        """Compare the open requests with OpenCode's own list: an event may have been missed."""
        state = self._context.views.sessions.get(session_id)
        listed = await client.open_requests(effect.directory)
        if listed:  # a sub-agent exists before its request
            mine = {effect.opencode_id, *(each.id for each in await read_subagents(client, effect.opencode_id))}
            listed = tuple(request for request in listed if request.session_id in mine)
        for request in listed:
            await report(ReportRequestOpened(request=request, at_ms=self._now()))
        ids = {request.id for request in listed}
        for gone in [] if state is None else [known.id for known in state.requests if known.id not in ids]:
            await report(ReportRequestClosed(request_id=gone, at_ms=self._now()))

    async def _report(
        self, session_id: str, client: OpenCode, effect: e.FollowTurn, result: TurnResult, report: Reporter
    ) -> None:
        try:
            await self.record(session_id, client, effect.opencode_id, effect.message_id, report)
        except Problem as problem:
            if problem.code != result.code:
                _log.warning("transcript_incomplete", opencode_id=effect.opencode_id, detail=problem.detail)
        await self._diffs.record(session_id, effect.number, report)
        await save_session(self._context, session_id)
        await missing(self._context, session_id)
        number = effect.number
        self._live_events.of(session_id).next_turn = number + 1
        if result.outcome == "failed":
            code, detail = self._why_failed(effect.instance_id, result)
            await report(ReportTurnFailed(number=number, code=code, detail=detail, at_ms=self._now()))
            return
        await report(
            ReportTurnEnded(
                number=number,
                outcome=result.outcome,
                evidence=result.detail,
                at_ms=self._now(),
                new_ids=self._context.new_turn_ids(),
                moves=why_drained(self._context, effect.instance_id),
            )
        )

    def _why_failed(self, instance_id: str, result: TurnResult) -> tuple[str, str]:
        """Return code and detail of a failure. OpenCode does not say that the disk of its host is full."""
        host = self._context.host_of_instance(instance_id).name
        said = self._context.live.get(host)
        if host == LOCAL or said is None or said.disk_free_bytes >= DISK_FREE_BYTES_MIN:
            return result.code, result.detail
        return "disk_full", f"the disk of the host {host} is full: {result.detail}"

    async def record(
        self, session_id: str, client: OpenCode, opencode_id: str, message_id: str | None, report: Reporter
    ) -> None:
        """Record the messages of the last turn, of the session and of its sub-agents, from OpenCode's store.

        The session's messages are those after the prompt `message_id`, or, if that is not stored, all since the turn
        began. Earlier messages were recorded before, and the session may no longer remember them.
        """
        since_ms = self._turn_since_ms(session_id)
        if since_ms == 0:
            return
        live = self._live_events.of(session_id)
        first = live.unrecorded or message_id
        own = () if first is None else await read_tail(client, opencode_id, first)
        own = own or await read_since(client, opencode_id, since_ms)
        await report(ReportTranscript(messages=tuple(own), at_ms=self._now()))
        live.unrecorded = None if self._is_recorded(session_id, own) else first
        for subagent in await read_subagents(client, opencode_id, since_ms):
            await report(ReportTranscript(messages=await read_since(client, subagent.id, since_ms), at_ms=self._now()))

    def _is_recorded(self, session_id: str, messages: Sequence[Message]) -> bool:
        """Return whether the log has the last of these messages: the report of a turn's end may be dropped."""
        state = self._context.views.sessions.get(session_id)
        return state is None or not messages or messages[-1].info.id in state.digest_by_id

    async def await_late(self, client: OpenCode, opencode_id: str, message_id: str) -> None:
        """Wait a moment for a prompt that OpenCode may still store: a prompt that is not stored cannot be aborted.

        A prompt that arrives later would run with the next turn.
        """
        with trio.move_on_after(DELIVERY_LATE_GRACE_S):
            message = None
            while message is None:
                await trio.sleep(TURN_SETTLE_S)
                message = await client.read_message(opencode_id, message_id)
            await trio.sleep(TURN_SETTLE_S)

    # ----------------------------------------------------------------------------------------------- stop and settle

    async def stop(self, session_id: str, effect: e.StopTurn) -> None:
        """Abort the turn, repeatedly, until the end of the turn cancels this."""
        live = self._live_events.of(session_id)
        client = await self._context.connections.wait(effect.instance_id)
        patience = _patience("abort_retried", session_id)
        while True:
            try:
                await client.abort(effect.opencode_id, effect.directory)
            except Problem as problem:  # `follow` reports when the turn is over
                patience.ends_with(problem)
            live.wake()
            await trio.sleep(ABORT_GRACE_S / 4)

    async def answer(self, session_id: str, effect: e.AnswerOpenCode, report: Reporter) -> None:
        """Send the answer to a request to OpenCode; a request that is no longer open counts as answered.

        If OpenCode keeps rejecting the answer, the request is closed; the turn then ends by itself or as silent.
        """
        client = await self._context.connections.wait(effect.instance_id)
        patience = _patience("answer_retried", session_id, "request_not_found")
        await note_allowance(self._context, session_id, effect)
        with suppress(Problem):
            await persist(partial(_reply, client, effect), patience, every_s=REPLY_RETRY_S)
        await report(ReportRequestClosed(request_id=effect.request_id, at_ms=self._now()))

    async def check_idle_after_resume(self, session_id: str, effect: e.Settle, report: Reporter) -> None:
        """Wait until nothing runs for a resumed session, record missed messages, and report."""
        client = await self._context.connections.wait(effect.instance_id)
        patience = _patience("settle_retried", session_id)
        evidence = "resumed; OpenCode runs nothing for this session"

        async def settle() -> None:
            while effect.opencode_id in await client.statuses(effect.directory):  # noqa: ASYNC110 - OpenCode sends no event for it
                await trio.sleep(TURN_RECHECK_S)
            await self.record(session_id, client, effect.opencode_id, None, report)

        try:
            await persist(settle, patience, every_s=TURN_RECHECK_S)
        except Problem as problem:
            evidence = f"resumed; what OpenCode runs for this session is not known: {problem.detail}"
        state = self._context.views.sessions.get(session_id)
        self._live_events.of(session_id).next_turn = None if state is None else state.turns + 1
        await report(ReportSettled(evidence=evidence, at_ms=self._now(), new_ids=self._context.new_turn_ids()))


def _patience(event: str, session_id: str, *final: str) -> Patience:
    return Patience(event, refused_s=OPENCODE_REFUSED_S, final=("session_gone", *final), session=session_id)


async def _reply(client: OpenCode, effect: e.AnswerOpenCode) -> None:
    answer = effect.answer
    if effect.kind == "permission" and answer.reply is not None:
        await client.reply_permission(effect.request_id, effect.directory, answer.reply, answer.message)
    else:
        await client.reply_question(effect.request_id, effect.directory, answer.answers)


def _overdue(live: LiveSession) -> TurnResult | None:
    """Return why a running turn is to be given up, if it is."""
    now_s = trio.current_time()
    retrying_s = now_s - min(live.retrying_since_s.values(), default=now_s)
    if retrying_s > TURN_RETRY_S:
        words = live.retry.message.strip() if live.retry is not None else ""
        said = f": {words}" if words else ""
        return TurnResult("failed", f"OpenCode has retried the model for {retrying_s:.0f} s{said}", "turn_retries")
    if now_s - live.active_s > TURN_SILENCE_S:
        return TurnResult("failed", f"nothing has happened for {now_s - live.active_s:.0f} s", "turn_silent")
    if live.unknown_steps() > TURN_UNKNOWN_STEPS_MAX:
        detail = "the model's answers end without a reason, and OpenCode asks it again and again"
        return TurnResult("failed", detail, "turn_loops")
    return None
