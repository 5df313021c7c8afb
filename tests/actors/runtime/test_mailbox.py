from collections import deque

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from fleet.actors.runtime.mailbox import Mailbox
from fleet.errors import Unavailable
from fleet.limits import MAILBOX_BURST_MAX, MAILBOX_CONTROL_MAX

Steps = st.lists(st.sampled_from(["put", "control", "receive"]), max_size=60)


@given(Steps, st.integers(1, 5))
def test_bounded_fifo_per_lane_control_first(steps: list[str], size_max: int) -> None:
    async def walk() -> None:
        mailbox: Mailbox[int, str] = Mailbox("the actor", size_max)
        messages: deque[int] = deque()
        control: deque[str] = deque()
        for number, step in enumerate(steps):
            if step == "put" and len(messages) == size_max:
                with pytest.raises(Unavailable, match="the actor") as refusal:
                    mailbox.put(number)
                assert (refusal.value.code, refusal.value.retry_after_s) == ("overloaded", 1)
            elif step == "put":
                mailbox.put(number)
                messages.append(number)
            elif step == "control" and len(control) < MAILBOX_CONTROL_MAX:
                mailbox.put_control(str(number))
                control.append(str(number))
            elif messages or control:
                expected = control.popleft() if control else messages.popleft()
                assert await mailbox.receive() == expected
            assert len(mailbox) == len(messages) + len(control)
            assert mailbox.statistics().waiting == len(messages)

    trio.run(walk)


async def test_a_receiver_waits_for_the_first_message() -> None:
    mailbox: Mailbox[str, str] = Mailbox("the actor")
    got: list[str] = []

    async def receive() -> None:
        got.append(await mailbox.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        mailbox.put("first")
        mailbox.put_control("overtakes")
    assert got == ["overtakes"]
    assert await mailbox.receive() == "first"


async def test_a_cancelled_receiver_loses_nothing() -> None:
    mailbox: Mailbox[str, str] = Mailbox("the actor")
    with trio.move_on_after(0):
        await mailbox.receive()
    mailbox.put("kept")
    assert await mailbox.receive() == "kept"


async def test_a_second_receiver_is_refused() -> None:
    mailbox: Mailbox[str, str] = Mailbox("the actor")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.receive)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="two tasks receive from the mailbox of the actor"):
            await mailbox.receive()
        nursery.cancel_scope.cancel()


async def test_closing_returns_the_waiting_messages_and_rejects_later_ones() -> None:
    mailbox: Mailbox[int, str] = Mailbox("the actor")
    mailbox.put(1)
    mailbox.put(2)
    assert mailbox.close() == [1, 2]
    with pytest.raises(Unavailable, match="shutting down") as refusal:
        mailbox.put(3)
    assert refusal.value.code == "stopping"
    mailbox.put_control("still")
    assert await mailbox.receive() == "still"
    mailbox.reopen()
    mailbox.put(4)
    assert await mailbox.receive() == 4


async def test_too_many_control_messages_are_refused() -> None:
    mailbox: Mailbox[int, str] = Mailbox("the actor")
    for _ in range(MAILBOX_CONTROL_MAX):
        mailbox.put_control("x")
    with pytest.raises(Unavailable, match="control messages"):
        mailbox.put_control("x")
    assert mailbox.statistics().refused == 1


async def test_a_busy_receiver_does_not_block_other_tasks() -> None:
    mailbox: Mailbox[int, str] = Mailbox("the actor")
    for number in range(MAILBOX_BURST_MAX + 1):
        mailbox.put(number)
    with trio.move_on_after(0) as scope:
        while True:
            await mailbox.receive()
            if not len(mailbox):
                break
    assert scope.cancelled_caught
    assert len(mailbox) == 1
