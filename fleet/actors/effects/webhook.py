"""Carries out the effects of a webhook: follow the log and send its messages."""

from collections import defaultdict
from urllib.parse import urlsplit

import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.runtime.aggregate import ReportBack
from fleet.actors.runtime.causation import because_of, because_of_event
from fleet.core.webhook.commands import (
    AdvanceCursor,
    ReportDeliveryFailed,
    ReportDeliverySucceeded,
    ReportDeliveryVoid,
    RequestDelivery,
    WebhookCommand,
)
from fleet.core.webhook.effects import Effect, FollowLog, SendMessage
from fleet.core.webhook.payloads import message_body, try_body, webhook_payload
from fleet.core.webhook.signing import signed
from fleet.events.envelope import Erased, Recorded
from fleet.events.feed import Feed
from fleet.limits import (
    WEBHOOK_BACKOFF_MAX_S,
    WEBHOOK_CURSOR_EVENTS,
    WEBHOOK_CURSOR_S,
    WEBHOOK_OPEN_MAX,
    WEBHOOK_SENDS_MAX,
)
from fleet.ports import DeliveryAttempt

_log = structlog.get_logger(__name__)

Reporter = ReportBack[WebhookCommand]


class WebhookEffects:
    """The effects of all webhooks."""

    def __init__(self, context: Context, feed: Feed) -> None:
        self._context = context
        self._feed = feed
        self._sending: dict[str, trio.CapacityLimiter] = defaultdict(lambda: trio.CapacityLimiter(WEBHOOK_SENDS_MAX))

    async def perform(self, webhook_id: str, effect: Effect, report: Reporter) -> None:
        """Carry out `effect` for the webhook and report."""
        if isinstance(effect, FollowLog):
            await self._follow(webhook_id, effect, report)
        else:
            await self._deliver(webhook_id, effect, report)

    def _now(self) -> int:
        return self._context.clock.now_ms()

    async def _follow(self, webhook_id: str, effect: FollowLog, report: Reporter) -> None:
        """Order a delivery for each event that causes a message, as long as the webhook is active."""

        def concerns(recorded: Recorded) -> bool:
            payload = webhook_payload(recorded.event)
            return payload is not None and payload[0] in effect.types

        noted = effect.after
        async with self._feed.subscribe(after=effect.after, stream=concerns) as reader:
            while True:
                events: list[Recorded] = []
                with trio.move_on_after(WEBHOOK_CURSOR_S):
                    events = await anext(reader)
                for each in events:
                    await self._room(webhook_id)
                    payload = webhook_payload(each.event)
                    if payload is not None:  # the filter's promise
                        session_id = each.stream.partition("-")[2]
                        with because_of(because_of_event(each)):
                            await report(
                                RequestDelivery(
                                    position=each.position, type=payload[0], session_id=session_id, at_ms=self._now()
                                )
                            )
                        noted = each.position
                if reader.cursor - noted >= WEBHOOK_CURSOR_EVENTS:
                    noted = reader.cursor
                    await report(AdvanceCursor(position=noted, at_ms=self._now()))

    async def _room(self, webhook_id: str) -> None:
        """Wait until the webhook may have another open delivery; the log keeps what waits."""
        webhooks = self._context.views.webhooks
        await webhooks.wait(webhook_id, lambda s: sum(not each.is_test for each in s.open) < WEBHOOK_OPEN_MAX)

    # ------------------------------------------------------------------------------------------------------ delivery

    async def _deliver(self, webhook_id: str, effect: SendMessage, report: Reporter) -> None:
        """Send the message when it is due; retry until the receiver accepts it or it is discarded."""
        due_ms = effect.next_at_ms
        while True:
            # Never longer than the longest wait: a clock that was set back must not make it days.
            await trio.sleep(min(max(0, due_ms - self._now()) / 1000, WEBHOOK_BACKOFF_MAX_S))
            async with self._sending[webhook_id]:
                body = self._body(webhook_id, effect)
                if body is None:
                    await report(ReportDeliveryVoid(number=effect.number, at_ms=self._now()))
                    return
                receipt = await self._send(webhook_id, effect.number, body)
            if receipt.taken and receipt.status is not None:
                await report(
                    ReportDeliverySucceeded(
                        number=effect.number, status=receipt.status, took_ms=receipt.took_ms, at_ms=self._now()
                    )
                )
                return
            await report(
                ReportDeliveryFailed(
                    number=effect.number,
                    status=receipt.status,
                    detail=receipt.detail,
                    took_ms=receipt.took_ms,
                    at_ms=self._now(),
                    retry_after_s=receipt.retry_after_s,
                )
            )
            state = self._context.views.webhooks.get(webhook_id)
            waiting = None if state is None else state.waiting(effect.number)
            if waiting is None:
                return
            due_ms = waiting.next_at_ms

    def _body(self, webhook_id: str, effect: SendMessage) -> bytes | None:
        """Return the message; None if its session has been erased."""
        if effect.position is None:
            return try_body(webhook_id, effect.ordered_at_ms)
        recorded = self._context.log.read_all(effect.position - 1, 1)[0]
        session = self._context.views.sessions.get(recorded.stream.partition("-")[2])
        if session is None or isinstance(recorded.event, Erased):
            return None
        return message_body(recorded.position, recorded.recorded_at_ms, recorded.event, session)

    async def _send(self, webhook_id: str, number: int, body: bytes) -> DeliveryAttempt:
        target = await self._context.webhook_secrets.read(webhook_id)
        if target is None:
            return DeliveryAttempt(
                None, "its address and secret are not in the data directory: delete it, create it again", 0
            )
        state, parts = self._context.views.webhooks.get(webhook_id), urlsplit(target.url)
        if state is not None and f"{parts.scheme}://{parts.netloc}" != state.origin:
            return DeliveryAttempt(
                None, "its stored address is not the one that it was registered with: delete it, create it again", 0
            )
        headers = signed(target.secret, f"{webhook_id}-{number}", self._now() // 1000, body)
        receipt = await self._context.sender.send(target.url, headers, body)
        if not receipt.taken:
            _log.info("webhook_not_delivered", webhook=webhook_id, number=number, detail=receipt.detail)
        return receipt
