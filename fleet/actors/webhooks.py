"""Webhooks: what callers can order, and the effects that follow: the log is followed, messages are sent.

Address and secret are kept in the vault before the webhook is in the log, and removed after its end is in the log: what
a crash leaves in between belongs to no webhook, and goes with the next start (`sweep`).
"""

from collections import defaultdict
from urllib.parse import urlsplit

import msgspec
import structlog
import trio

from fleet.actors.aggregate import Report
from fleet.actors.causes import because_of, because_of_event
from fleet.actors.context import Context, WebhookReply
from fleet.actors.orders import Caller
from fleet.core.webhook import machine
from fleet.core.webhook import messages as m
from fleet.core.webhook.signing import secret_of, signed
from fleet.core.webhook.state import Delivery, State
from fleet.core.webhook.telling import message_body, told, try_body
from fleet.errors import Rejected, Unavailable
from fleet.events.envelope import Erased, Recorded
from fleet.events.feed import Feed
from fleet.limits import (
    WEBHOOK_BACKOFF_MAX_S,
    WEBHOOK_OPEN_MAX,
    WEBHOOK_PROGRESS_EVENTS,
    WEBHOOK_PROGRESS_S,
    WEBHOOK_SENDS_MAX,
    WEBHOOK_TRY_WAIT_S,
    WEBHOOKS_MAX,
)
from fleet.ports import Receipt, Target

_log = structlog.get_logger(__name__)

Reporter = Report[m.Command]


class NewWebhook(msgspec.Struct, frozen=True):
    """A webhook as a caller wants it; without a `secret` Fleet makes one."""

    url: str
    types: tuple[str, ...]
    secret: str | None = None
    description: str = ""


class Webhooks:
    """The orders about webhooks, on one Fleet. Each returns the state it reached."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._registration = trio.Lock()

    async def register(self, new: NewWebhook, caller: Caller) -> tuple[State, Target]:
        """Make a webhook that is told of what happens from now on. Raises `Rejected` where it must not be."""
        context = self._context
        async with self._registration:  # one at a time: a repetition finds the first, and the bound is kept
            webhook_id = self._registered_before(caller)
            if webhook_id is None:
                if len(context.views.webhooks) >= WEBHOOKS_MAX:
                    raise Rejected("webhooks_full", f"there are {WEBHOOKS_MAX} webhooks", hint="delete one first")
                await context.sender.check(new.url)
                webhook_id = context.ids.uuid7()
                secret = new.secret if new.secret is not None else secret_of(context.vault.fresh_key())
                await context.vault.keep(webhook_id, Target(new.url, secret))
                parts = urlsplit(new.url)
                register = m.RegisterWebhook(
                    f"{parts.scheme}://{parts.netloc}", new.types, new.description, context.log.head(), self._now()
                )
                await self._ask(webhook_id, register, caller)
        target = await context.vault.read(webhook_id)
        if target is None:
            raise _missing(webhook_id)
        return self.webhook(webhook_id), target

    def _registered_before(self, caller: Caller) -> str | None:
        key = caller.idempotency_key
        record = None if key is None else self._context.log.find_command(key)
        if record is None:
            return None
        if not record.matches(caller.digest):
            raise Rejected("idempotency_conflict", "the idempotency key was used with another request")
        return record.stream.partition("-")[2]

    async def switch(self, webhook_id: str, caller: Caller, *, enabled: bool) -> State:
        """Enable or disable it."""
        command = m.EnableWebhook(self._now()) if enabled else m.DisableWebhook(self._now())
        return (await self._ask(webhook_id, command, caller)).state

    async def delete(self, webhook_id: str, caller: Caller) -> int:
        """Delete it, address and secret included, and return the log position."""
        reply = await self._ask(webhook_id, m.DeleteWebhook(self._now()), caller)
        await self._context.vault.forget(webhook_id)
        return reply.position

    async def send_test(self, webhook_id: str, caller: Caller) -> Delivery:
        """Send a test message and return what became of it."""
        reply = await self._ask(webhook_id, m.TryWebhook(self._now()), caller)
        tests = [each for each in (*reply.state.over, *reply.state.open) if each.is_test]
        if not tests:
            raise Rejected("delivery_gone", "the test of this idempotency key is not among the newest deliveries")
        number = max(each.number for each in tests)
        with trio.move_on_after(WEBHOOK_TRY_WAIT_S):
            state = await self._context.views.webhooks.wait(webhook_id, lambda s: s.waiting(number) is None)
            return next(each for each in state.over if each.number == number)
        raise Unavailable("timed_out", "the test message is still on its way; look at the deliveries", retry_after_s=5)

    def webhook(self, webhook_id: str) -> State:
        """Return the webhook. Raises `Rejected` webhook_not_found."""
        state = self._context.views.webhooks.get(webhook_id)
        if state is None:
            raise _missing(webhook_id)
        return state

    async def sweep(self) -> None:
        """Remove addresses and secrets that belong to no webhook."""
        async with self._registration:
            for webhook_id in await self._context.vault.kept():
                if self._context.views.webhooks.get(webhook_id) is None:
                    await self._context.vault.forget(webhook_id)

    def _now(self) -> int:
        return self._context.clock.now_ms()

    async def _ask(self, webhook_id: str, command: m.Command, caller: Caller) -> WebhookReply:
        if not isinstance(command, m.RegisterWebhook):
            self.webhook(webhook_id)  # a message would bring up an actor for whatever id somebody thinks of
        return await self._context.peers.webhooks.ask(webhook_id, caller.deliver(command))


class WebhookEffects:
    """The effects of all webhooks."""

    def __init__(self, context: Context, feed: Feed) -> None:
        self._context = context
        self._feed = feed
        self._sending: dict[str, trio.CapacityLimiter] = defaultdict(lambda: trio.CapacityLimiter(WEBHOOK_SENDS_MAX))

    async def perform(self, webhook_id: str, effect: machine.Effect, report: Reporter) -> None:
        """Carry out `effect` for the webhook and report."""
        if isinstance(effect, machine.Follow):
            await self._follow(webhook_id, effect, report)
        else:
            await self._deliver(webhook_id, effect, report)

    def _now(self) -> int:
        return self._context.clock.now_ms()

    async def _follow(self, webhook_id: str, effect: machine.Follow, report: Reporter) -> None:
        """Order a delivery for each event that the webhook is to be told of, for as long as it is active."""

        def concerns(recorded: Recorded) -> bool:
            telling = told(recorded.event)
            return telling is not None and telling[0] in effect.types

        noted = effect.after
        async with self._feed.subscribe(after=effect.after, stream=concerns) as reader:
            while True:
                events: list[Recorded] = []
                with trio.move_on_after(WEBHOOK_PROGRESS_S):
                    events = await anext(reader)
                for each in events:
                    await self._room(webhook_id)
                    telling = told(each.event)
                    if telling is not None:  # the filter's promise
                        session_id = each.stream.partition("-")[2]
                        with because_of(because_of_event(each)):
                            await report(m.NoteHappening(each.position, telling[0], session_id, self._now()))
                        noted = each.position
                if reader.cursor - noted >= WEBHOOK_PROGRESS_EVENTS:
                    noted = reader.cursor
                    await report(m.NoteProgress(noted, self._now()))

    async def _room(self, webhook_id: str) -> None:
        """Wait until the webhook may have another open delivery; the log keeps what waits."""
        webhooks = self._context.views.webhooks
        await webhooks.wait(webhook_id, lambda s: sum(not each.is_test for each in s.open) < WEBHOOK_OPEN_MAX)

    # ------------------------------------------------------------------------------------------------------ delivery

    async def _deliver(self, webhook_id: str, effect: machine.Deliver, report: Reporter) -> None:
        """Send when it is due, again and again until the receiver takes it or the webhook has enough of it."""
        due_ms = effect.next_at_ms
        while True:
            # Never longer than the longest wait: a clock that was set back must not make it days.
            await trio.sleep(min(max(0, due_ms - self._now()) / 1000, WEBHOOK_BACKOFF_MAX_S))
            async with self._sending[webhook_id]:
                body = self._body(webhook_id, effect)
                if body is None:
                    await report(m.ReportVoid(effect.number, self._now()))
                    return
                receipt = await self._send(webhook_id, effect.number, body)
            if receipt.taken and receipt.status is not None:
                await report(m.ReportDelivered(effect.number, receipt.status, receipt.took_ms, self._now()))
                return
            await report(
                m.ReportNotDelivered(
                    effect.number, receipt.status, receipt.detail, receipt.took_ms, self._now(), receipt.retry_after_s
                )
            )
            state = self._context.views.webhooks.get(webhook_id)
            waiting = None if state is None else state.waiting(effect.number)
            if waiting is None:
                return
            due_ms = waiting.next_at_ms

    def _body(self, webhook_id: str, effect: machine.Deliver) -> bytes | None:
        """Return the message, None where what it is about has been erased."""
        if effect.position is None:
            return try_body(webhook_id, effect.ordered_at_ms)
        recorded = self._context.log.read_all(effect.position - 1, 1)[0]
        session = self._context.views.sessions.get(recorded.stream.partition("-")[2])
        if session is None or isinstance(recorded.event, Erased):
            return None
        return message_body(recorded.position, recorded.recorded_at_ms, recorded.event, session)

    async def _send(self, webhook_id: str, number: int, body: bytes) -> Receipt:
        target = await self._context.vault.read(webhook_id)
        if target is None:
            return Receipt(None, "its address and secret are gone from the data directory: delete it, make it anew", 0)
        headers = signed(target.secret, f"{webhook_id}-{number}", self._now() // 1000, body)
        receipt = await self._context.sender.send(target.url, headers, body)
        if not receipt.taken:
            _log.info("webhook_not_delivered", webhook=webhook_id, number=number, detail=receipt.detail)
        return receipt


def _missing(webhook_id: str) -> Rejected:
    return Rejected("webhook_not_found", f"there is no webhook {webhook_id}")
