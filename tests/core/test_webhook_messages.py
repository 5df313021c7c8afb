"""The messages of webhooks, and the signature that proves their sender."""

import base64
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from fleet.core.session.decide import SESSION
from fleet.core.session.events import NotificationsRead, SessionCompleted, SessionStopped
from fleet.core.session.notifications import notification_for
from fleet.core.session.state import NotificationKind
from fleet.core.session.turn_events import RequestOpened, TurnFailed
from fleet.core.session.values import raw
from fleet.core.webhook.payloads import MESSAGE_TYPES, message_body, webhook_payload
from fleet.core.webhook.signing import key_of, secret_of, signed
from fleet.events.envelope import Erased
from tests.core import sessions as s
from tests.core.given import given

SECRET = secret_of(b"k" * 24)


def test_webhooks_can_select_every_notification_and_every_end() -> None:
    kinds = NotificationKind.__args__  # type: ignore[attr-defined]  # what a Literal is made of
    assert set(MESSAGE_TYPES) == {f"session.{kind}" for kind in kinds} | {"session.completed", "session.stopped"}
    failed = TurnFailed(number=1, code="x", detail="bad key", at_ms=5)
    assert (webhook_payload(failed), notification_for(failed)) == (("session.error", "bad key"), ("error", "bad key"))
    assert webhook_payload(SessionStopped(evidence="a stop was requested", at_ms=5)) == (
        "session.stopped",
        "a stop was requested",
    )
    assert webhook_payload(SessionCompleted(instance_id="i1", evidence="idle", at_ms=5)) == (
        "session.completed",
        "idle",
    )
    assert webhook_payload(NotificationsRead(numbers=(1,), at_ms=5)) is None
    assert webhook_payload(Erased()) is None


def test_webhook_message_has_the_fields_of_its_type() -> None:
    state = given(SESSION, "s1", *s.IDLE).state
    opened = RequestOpened(request_id="r1", opencode_id="ses_1", kind="permission", at_ms=5, body=raw(b"{}"))
    message = msgspec.json.decode(message_body(12, 1_767_225_600_000, opened, state))
    assert (message["type"], message["timestamp"]) == ("session.request", "2026-01-01T00:00:00.000Z")
    assert (message["data"]["position"], message["data"]["requestId"]) == (12, "r1")
    assert message["data"]["session"]["id"] == "s1"
    assert message["data"]["session"]["status"] == "idle"
    long = msgspec.json.decode(message_body(12, 1, TurnFailed(number=1, code="x", detail="e" * 10_000, at_ms=5), state))
    assert len(long["data"]["text"]) == 2000
    with pytest.raises(ValueError, match="NotificationsRead"):
        message_body(12, 1, NotificationsRead(numbers=(1,), at_ms=5), state)


def test_reference_library_verifies_signatures_of_webhook_messages() -> None:
    body = b'{"type": "session.finished"}'
    now_s = int(datetime.now(UTC).timestamp())
    headers = dict(signed(SECRET, "msg-1", now_s, body))
    Webhook(SECRET).verify(body, headers)
    for spoilt in ({"webhook-id": "msg-2"}, {"webhook-timestamp": str(now_s - 1)}):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, {**headers, **spoilt})
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_of(b"o" * 24)).verify(body, headers)


@pytest.mark.parametrize("size", [24, 32, 64])
def test_webhook_secret_survives_encoding_and_decoding(size: int) -> None:
    assert key_of(secret_of(b"\xff" * size)) == b"\xff" * size


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        base64.b64encode(b"k" * 24).decode(),
        secret_of(b"k" * 23),
        secret_of(b"k" * 65),
        "whsec_" + "!" * 40,
        "whsec_ü",
    ],
)
def test_invalid_webhook_secret_is_refused_and_not_repeated_in_the_error(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_ and 24 to 64") as refused:
        key_of(secret)
    assert not secret.removeprefix("whsec_") or secret.removeprefix("whsec_") not in str(refused.value)


def test_signature_example_of_the_documentation_verifies() -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    named: dict[str, Any] = {}
    exec(example, named)
    body, now_s = b'{"a": 1}', int(time.time())
    named["verify"](SECRET, signed(SECRET, "msg-1", now_s, body), body)
    with pytest.raises(ValueError, match="not from this Fleet"):
        named["verify"](SECRET, signed(SECRET, "msg-1", now_s, body), body + b" ")
    with pytest.raises(ValueError, match="too old"):
        named["verify"](SECRET, signed(SECRET, "msg-1", now_s - 301, body), body)
