"""The law of subscriptions: each event beyond the cursor once and in order, at all times."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.core.subscription import LogSubscription, SubscriptionPhase

ROOMY = 1_000_000


class Event(NamedTuple):
    position: int
    size_bytes: int = 0


def events(after: int, through: int) -> list[Event]:
    return [Event(position) for position in range(after + 1, through + 1)]


def test_subscription_without_unread_events_is_live_at_once() -> None:
    assert LogSubscription[Event](0, 0, 10, ROOMY).caught_up
    assert LogSubscription[Event](5, 5, 10, ROOMY).phase is SubscriptionPhase.LIVE
    assert LogSubscription[Event](9, 5, 10, ROOMY).phase is SubscriptionPhase.LIVE


def test_subscription_catches_up_from_the_log_and_then_uses_pushed_events() -> None:
    machine: LogSubscription[Event] = LogSubscription(2, 6, 10, ROOMY)
    phases = [machine.phase]
    for low, high in ((2, 4), (4, 6)):
        assert machine.page(high, events(low, high)) == events(low, high)
        phases.append(machine.phase)
    assert phases == [SubscriptionPhase.CATCHING_UP, SubscriptionPhase.CATCHING_UP, SubscriptionPhase.LIVE]
    assert machine.caught_up
    machine.push(6, 8, events(6, 8))
    assert (machine.caught_up, machine.cursor, machine.waiting) == (False, 6, 2)
    assert machine.take() == events(6, 8)
    assert (machine.caught_up, machine.cursor) == (True, 8)


def test_event_pushed_during_the_catch_up_is_read_from_the_log() -> None:
    machine: LogSubscription[Event] = LogSubscription(0, 2, 10, ROOMY)
    machine.push(2, 3, events(2, 3))
    phases: list[SubscriptionPhase] = []
    for low, high in ((0, 2), (2, 3)):
        assert machine.page(high, events(low, high)) == events(low, high)
        phases.append(machine.phase)
    assert phases == [SubscriptionPhase.CATCHING_UP, SubscriptionPhase.LIVE]


def test_subscription_handles_repeated_expected_and_early_pushes() -> None:
    machine: LogSubscription[Event] = LogSubscription(0, 0, 10, ROOMY)
    machine.push(0, 3, events(0, 3))
    machine.push(0, 2, events(0, 2))
    machine.push(1, 4, events(1, 4))
    assert machine.take() == events(0, 4)
    machine.push(5, 6, events(5, 6))
    assert (machine.phase, machine.take(), machine.cursor) == (SubscriptionPhase.SATURATED, [], 4)
    assert machine.page(6, events(4, 6)) == events(4, 6)
    assert machine.phase is SubscriptionPhase.LIVE


def test_subscription_with_a_full_buffer_reads_from_the_log_again() -> None:
    machine: LogSubscription[Event] = LogSubscription(0, 0, 3, ROOMY)
    machine.push(0, 3, events(0, 3))
    assert machine.waiting == 3
    machine.push(3, 4, events(3, 4))
    assert (machine.phase, machine.waiting, machine.take(), machine.cursor) == (SubscriptionPhase.SATURATED, 0, [], 0)
    assert machine.page(2, events(0, 2)) == events(0, 2)
    assert machine.phase is SubscriptionPhase.CATCHING_UP


def test_buffer_of_a_subscription_is_limited_in_bytes_but_holds_any_single_event() -> None:
    machine: LogSubscription[Event] = LogSubscription(0, 0, 3, 10)
    machine.push(0, 1, [Event(1, 100)])
    assert machine.take() == [Event(1, 100)]
    machine.push(1, 3, [Event(2, 4), Event(3, 6)])
    assert machine.take() == [Event(2, 4), Event(3, 6)]
    machine.push(3, 4, [Event(4, 6)])
    machine.push(4, 5, [Event(5, 5)])
    assert (machine.phase, machine.waiting, machine.cursor) == (SubscriptionPhase.SATURATED, 0, 3)


def test_events_that_do_not_match_move_the_cursor_of_a_subscription() -> None:
    machine: LogSubscription[Event] = LogSubscription(0, 0, 3, ROOMY)
    machine.push(0, 5, [])
    machine.skip(7)
    machine.push(7, 8, events(7, 8))
    assert (machine.take(), machine.cursor) == (events(7, 8), 8)


def test_a_page_for_a_live_subscription_is_a_bug() -> None:
    with pytest.raises(ValueError, match="live subscription"):
        LogSubscription[Event](0, 0, 3, ROOMY).page(0, [])


Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["commit", "lost", "again", "read", "page_late", "take"]), st.integers(1, 5))
)


@given(
    STEPS,
    st.integers(0, 12),
    st.integers(0, 8),
    st.tuples(st.integers(1, 6), st.integers(1, 20)),
    st.sampled_from([1, 2, 3]),
)
def test_subscription_neither_misses_nor_repeats_events(
    steps: list[Step], after: int, head: int, bounds: tuple[int, int], every: int
) -> None:
    """A log grows by commits, whose pushes come, get lost or come again, while pages are read and applied late."""
    buffer_max, buffer_bytes_max = bounds

    def concerned(low: int, high: int) -> list[Event]:
        return [Event(event.position, event.position % 7) for event in events(low, high) if event.position % every == 0]

    machine: LogSubscription[Event] = LogSubscription(after, head, buffer_max, buffer_bytes_max)
    got: list[Event] = []

    def push(low: int, high: int) -> None:
        machine.push(low, high, concerned(low, high))
        assert machine.waiting <= buffer_max

    for step, count in steps:
        if step in ("commit", "lost"):
            head += count
            if step == "commit":
                push(head - count, head)
        elif step == "again":
            push(max(0, head - 2 * count), max(0, head - count))
        elif step == "take":
            got += machine.take()
        elif machine.needs_page:
            low, high = machine.cursor, max(machine.cursor, min(head, machine.cursor + count))
            if step == "page_late":
                head += 1
                push(head - 1, head)
            got += machine.page(high, concerned(low, high))
        assert machine.cursor >= after
        assert got == concerned(after, machine.cursor)
    head += 1
    push(head - 1, head)
    while not machine.caught_up:
        got += machine.page(head, concerned(machine.cursor, max(machine.cursor, head))) if machine.needs_page else []
        got += machine.take()
    assert got == concerned(after, head)
