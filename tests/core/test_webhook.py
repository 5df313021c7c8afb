"""A webhook orders each message once, tries it for days, and says when it gives up."""

from typing import Any, get_args

import hypothesis
import pytest
from hypothesis import strategies as st

from fleet.core.webhook.commands import (
    AdvanceCursor,
    DeleteWebhook,
    DisableWebhook,
    EnableWebhook,
    ReportDeliveryVoid,
    SendTestMessage,
    WebhookCommand,
)
from fleet.core.webhook.decide import WEBHOOK
from fleet.core.webhook.events import (
    CursorAdvanced,
    DeliveryDropped,
    DeliveryOrdered,
    DeliverySucceeded,
    WebhookDeleted,
    WebhookDisabled,
    WebhookEnabled,
    WebhookEvent,
)
from fleet.core.webhook.evolve import TABLE
from fleet.core.webhook.state import State
from fleet.limits import WEBHOOK_DELIVERIES_REMEMBERED_MAX
from tests.core import webhooks as w
from tests.core.given import given
from tests.core.walks import walk

REPORTS: tuple[WebhookCommand, ...] = (
    w.note(12),
    AdvanceCursor(position=50, at_ms=w.AT),
    w.takes(1),
    w.fails(1, w.AT),
    ReportDeliveryVoid(number=1, at_ms=1),
)


def test_webhook_reads_the_log_and_sends_each_message_once() -> None:
    story = given(WEBHOOK, "w1").when(w.REGISTER).then(w.REGISTERED).pending("follow")
    story = story.when(w.note(12)).then(w.ordered(1, 12)).pending("follow", "deliver 1")
    assert story.state.cursor == 12
    story = story.when(w.note(12)).then().when(w.note(11)).then()
    story = story.when(w.takes(1)).then(w.made(1)).pending("follow").when(w.takes(1)).then()
    assert [(each.number, each.outcome, each.status) for each in story.state.over] == [(1, "delivered", 204)]
    assert story.state.delivered_at_ms == w.AT


def test_webhook_records_progress_without_messages_for_the_next_start() -> None:
    story = (
        given(WEBHOOK, "w1", w.REGISTERED)
        .when(AdvanceCursor(position=9_000, at_ms=w.AT))
        .then(CursorAdvanced(position=9_000, at_ms=w.AT))
    )
    assert story.state.cursor == 9_000
    story.when(AdvanceCursor(position=9_000, at_ms=w.AT)).then()


def test_failed_deliveries_are_retried_after_longer_and_longer_waits() -> None:
    story = given(WEBHOOK, "w1", *w.WAITING)
    for attempt, wait_s in enumerate((5, 10, 20, 40), start=1):
        story = story.when(w.fails(1, w.AT + attempt)).then(w.failed(1, w.AT + attempt, wait_s))
        assert story.state.failing_since_ms == w.AT + 1
        story.pending("follow", "deliver 1")
    story.when(w.fails(1, w.AT + 9, 503, pause_s=600)).then(w.failed(1, w.AT + 9, 600, 503))
    story = story.when(w.takes(1, w.AT + 10)).then(w.made(1, w.AT + 10))
    assert story.state.failing_since_ms is None
    assert story.state.over[0].attempts == 5


def test_wait_before_a_retry_of_a_delivery_has_a_maximum() -> None:
    story = given(WEBHOOK, "w1", *w.WAITING)
    story.when(w.fails(1, w.AT, 503, pause_s=1e9)).then(w.failed(1, w.AT, 4 * 3600, 503))


def test_webhook_is_disabled_after_days_without_success_and_keeps_its_messages() -> None:
    late = w.AT + 3 * w.DAY
    story = given(WEBHOOK, "w1", *w.WAITING).when(w.fails(1, late - 1)).then(w.failed(1, late - 1, 5))
    story = story.when(w.fails(1, late)).pending()
    assert (story.state.phase, story.state.failed) == ("disabled", True)
    assert "3 days" in story.state.reason
    story = (
        story.when(EnableWebhook(at_ms=late + 1)).then(WebhookEnabled(at_ms=late + 1)).pending("follow", "deliver 1")
    )
    assert (story.state.failed, story.state.reason, story.state.open[0].attempts) == (False, "", 0)
    story.when(w.fails(1, late + w.DAY)).then(w.failed(1, late + w.DAY, 5))


def test_message_refused_for_days_is_dropped_if_others_are_accepted() -> None:
    late = w.AT + 3 * w.DAY
    story = given(WEBHOOK, "w1", *w.WAITING, w.ordered(2, 14), w.made(2, w.AT + 1))
    story = story.when(w.fails(1, late, 400)).pending("follow")
    assert story.state.phase == "active"
    assert [(each.number, each.outcome) for each in story.state.over] == [(2, "delivered"), (1, "dropped")]
    assert "answered 400" in story.state.over[1].detail


def test_a_webhook_is_disabled_when_its_receiver_reports_gone() -> None:
    story = given(WEBHOOK, "w1", *w.WAITING).when(w.fails(1, w.AT, 410)).pending()
    assert (story.state.phase, story.state.failed) == ("disabled", True)


def test_messages_about_erased_sessions_are_not_sent() -> None:
    story = given(WEBHOOK, "w1", *w.WAITING).when(ReportDeliveryVoid(number=1, at_ms=w.AT)).pending("follow")
    assert (story.state.over[0].outcome, story.state.over[0].attempts) == ("dropped", 0)


def test_webhook_is_disabled_when_its_receiver_reports_gone_to_a_test() -> None:
    story = given(WEBHOOK, "w1", w.REGISTERED).when(SendTestMessage(at_ms=w.AT)).when(w.fails(1, w.AT, 410))
    story = story.then(
        w.failed(1, w.AT, 5, 410),
        DeliveryDropped(number=1, reason="answered 410", at_ms=w.AT),
        WebhookDisabled(reason="the receiver says that it is gone (410)", failed=True, at_ms=w.AT),
    ).pending()
    assert story.state.failed


@pytest.mark.parametrize("status", [None, 500])
def test_failed_test_message_does_not_disable_a_webhook(status: int | None) -> None:
    story = given(WEBHOOK, "w1", w.REGISTERED).when(SendTestMessage(at_ms=w.AT)).when(w.fails(1, w.AT, status))
    story.then(
        w.failed(1, w.AT, 5, status), DeliveryDropped(number=1, reason=f"answered {status}", at_ms=w.AT)
    ).pending("follow")


def test_test_message_is_sent_once_also_to_a_disabled_webhook() -> None:
    story = given(WEBHOOK, "w1", w.REGISTERED, w.DISABLED).pending()
    story = story.when(SendTestMessage(at_ms=w.AT)).then(w.tried(1)).pending("deliver 1")
    story = story.when(SendTestMessage(at_ms=w.AT)).then()
    story = story.when(w.fails(1, w.AT, 410)).then(
        w.failed(1, w.AT, 5, 410), DeliveryDropped(number=1, reason="answered 410", at_ms=w.AT)
    )
    assert (story.state.failed, story.state.failing_since_ms) == (False, None)
    story.pending().when(EnableWebhook(at_ms=w.AT)).pending("follow")


def test_switching_a_webhook_to_its_current_state_changes_nothing() -> None:
    story = given(WEBHOOK, "w1", *w.WAITING).when(EnableWebhook(at_ms=w.AT)).then()
    story = story.when(DisableWebhook(at_ms=w.AT)).then(w.DISABLED).pending().when(DisableWebhook(at_ms=w.AT)).then()
    assert not story.state.failed
    story.when(w.fails(1, w.AT)).then().when(w.note(20)).then().when(w.takes(1)).then(w.made(1))


def test_absent_webhook_refuses_commands_and_ignores_reports() -> None:
    deleted = (
        given(WEBHOOK, "w1", *w.WAITING).when(DeleteWebhook(at_ms=w.AT)).then(WebhookDeleted(at_ms=w.AT)).pending()
    )
    for story in (deleted, given(WEBHOOK, "w1")):
        for order in (
            EnableWebhook(at_ms=1),
            DisableWebhook(at_ms=1),
            DeleteWebhook(at_ms=1),
            SendTestMessage(at_ms=1),
        ):
            story.when(order).then_rejected("webhook_not_found")
        for report in REPORTS:
            story.when(report).then()
    deleted.when(w.REGISTER).then_rejected("webhook_not_found")


def test_only_the_newest_deliveries_of_a_webhook_are_remembered() -> None:
    story = given(WEBHOOK, "w1", w.REGISTERED)
    for number in range(1, WEBHOOK_DELIVERIES_REMEMBERED_MAX + 10):
        story = story.when(w.note(10 + number)).when(w.takes(number))
    assert len(story.state.over) == WEBHOOK_DELIVERIES_REMEMBERED_MAX
    assert story.state.over[-1].number == WEBHOOK_DELIVERIES_REMEMBERED_MAX + 9


times = st.integers(w.AT, w.AT + 5 * w.DAY)
numbers = st.integers(1, 4)
commands: st.SearchStrategy[WebhookCommand] = st.one_of(
    st.just(w.REGISTER),
    st.builds(EnableWebhook, at_ms=times),
    st.builds(DisableWebhook, at_ms=times),
    st.builds(SendTestMessage, at_ms=times),
    st.sampled_from([DeleteWebhook(at_ms=w.AT), *[w.note(n) for n in range(9, 16)]]),
    st.builds(AdvanceCursor, position=st.integers(0, 30), at_ms=times),
    st.builds(w.takes, numbers, times),
    st.builds(w.fails, numbers, times, st.sampled_from([None, 410, 500])),
    st.builds(ReportDeliveryVoid, number=numbers, at_ms=times),
)


def check(state: State, log: tuple[WebhookEvent, ...]) -> None:
    positions = [event.position for event in log if isinstance(event, DeliveryOrdered) and event.position is not None]
    assert positions == sorted(set(positions)), "each event is sent once, in order"
    numbered = [event.number for event in log if isinstance(event, DeliveryOrdered)]
    assert numbered == list(range(1, len(numbered) + 1)), "no number is given twice"
    ends = [event.number for event in log if isinstance(event, DeliverySucceeded | DeliveryDropped)]
    assert len(ends) == len(set(ends)), "a delivery ends once"
    if state.phase in ("active", "disabled"):
        assert {each.number for each in state.open} == set(numbered) - set(ends), "none is lost"
    if state.phase == "active":
        assert {effect.key for effect in WEBHOOK.pending(state)} == {
            "follow",
            *(f"deliver {each.number}" for each in state.open),
        }


@hypothesis.settings(max_examples=200)
@hypothesis.given(st.data())
def test_a_webhook_keeps_its_laws(data: st.DataObject) -> None:
    walk(data, WEBHOOK, lambda _: commands, check)


@pytest.mark.parametrize("event", get_args(WebhookEvent))
def test_every_webhook_event_is_reachable(event: Any) -> None:
    assert any(target is not None for (_, kind), target in TABLE.items() if kind is event)
