"""The use cases of webhooks: register, enable or disable, delete, and test one.

Address and secret are stored by `WebhookSecrets` before the webhook is in the log, and removed after its deletion is in
the log. After a crash in between they belong to no webhook; the next start removes them (upkeep/recovery.py).
"""

from urllib.parse import urlsplit

import msgspec
import trio

from fleet.actors.caller import Caller
from fleet.actors.context import Context, WebhookReply
from fleet.core.webhook.commands import (
    DeleteWebhook,
    DisableWebhook,
    EnableWebhook,
    RegisterWebhook,
    SendTestMessage,
    WebhookCommand,
)
from fleet.core.webhook.signing import secret_of
from fleet.core.webhook.state import Delivery, State
from fleet.errors import Rejected, Unavailable
from fleet.limits import WEBHOOK_TEST_WAIT_S, WEBHOOKS_MAX
from fleet.ports import Target


class NewWebhook(msgspec.Struct, frozen=True):
    """A caller's request for a webhook; without a `secret` Fleet makes one."""

    url: str
    types: tuple[str, ...]
    secret: str | None = None
    description: str = ""


class WebhookUseCases:
    """The use cases of webhooks, on one Fleet. Each returns the state it reached."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._registration = trio.Lock()

    async def register(self, new: NewWebhook, caller: Caller) -> tuple[State, Target]:
        """Create a webhook that gets messages about later events. Raises `Rejected`."""
        context = self._context
        async with self._registration:  # one at a time: a repetition finds the first, and the limit holds
            webhook_id = caller.created_before(context.log)
            if webhook_id is None:
                if len(context.views.webhooks) >= WEBHOOKS_MAX:
                    raise Rejected("webhooks_full", f"there are {WEBHOOKS_MAX} webhooks", hint="Delete one first.")
                await context.sender.check(new.url)
                webhook_id = context.ids.uuid7()
                secret = new.secret if new.secret is not None else secret_of(context.webhook_secrets.fresh_key())
                await context.webhook_secrets.keep(webhook_id, Target(new.url, secret))
                parts = urlsplit(new.url)
                register = RegisterWebhook(
                    origin=f"{parts.scheme}://{parts.netloc}",
                    types=new.types,
                    description=new.description,
                    after=context.log.head(),
                    at_ms=self._now(),
                )
                await self._ask(webhook_id, register, caller)
        target = await context.webhook_secrets.read(webhook_id)
        if target is None:
            raise _missing(webhook_id)
        return self.webhook(webhook_id), target

    async def switch(self, webhook_id: str, caller: Caller, *, enabled: bool) -> State:
        """Enable or disable it."""
        command = EnableWebhook(at_ms=self._now()) if enabled else DisableWebhook(at_ms=self._now())
        return (await self._ask(webhook_id, command, caller)).state

    async def delete(self, webhook_id: str, caller: Caller) -> int:
        """Delete it, address and secret included, and return the log position."""
        reply = await self._ask(webhook_id, DeleteWebhook(at_ms=self._now()), caller)
        await self._context.webhook_secrets.forget(webhook_id)
        return reply.position

    async def send_test(self, webhook_id: str, caller: Caller) -> Delivery:
        """Send a test message and return its delivery."""
        reply = await self._ask(webhook_id, SendTestMessage(at_ms=self._now()), caller)
        tests = [each for each in (*reply.state.over, *reply.state.open) if each.is_test]
        if not tests:
            raise Rejected("delivery_gone", "the test of this idempotency key is not among the newest deliveries")
        number = max(each.number for each in tests)
        with trio.move_on_after(WEBHOOK_TEST_WAIT_S):
            webhooks = self._context.views.webhooks
            state = await webhooks.wait_while_present(webhook_id, lambda s: s.waiting(number) is None)
            if state is None:
                raise _missing(webhook_id)
            return next(each for each in state.over if each.number == number)
        raise Unavailable("timed_out", "the test message is still being sent; see the deliveries", retry_after_s=5)

    def webhook(self, webhook_id: str) -> State:
        """Return the webhook. Raises `Rejected` webhook_not_found."""
        state = self._context.views.webhooks.get(webhook_id)
        if state is None:
            raise _missing(webhook_id)
        return state

    def _now(self) -> int:
        return self._context.clock.now_ms()

    async def _ask(self, webhook_id: str, command: WebhookCommand, caller: Caller) -> WebhookReply:
        if not isinstance(command, RegisterWebhook):
            self.webhook(webhook_id)  # a message would activate an actor for any unknown id
        return await self._context.actors.webhooks.ask(webhook_id, caller.deliver(command))


def _missing(webhook_id: str) -> Rejected:
    return Rejected("webhook_not_found", f"there is no webhook {webhook_id}")
