"""The event-sourced actor's state: snapshots, and the law that it is always the fold of the log."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.actors.runtime.shape import shape_of
from fleet.core.decider import fold
from fleet.errors import Rejected
from fleet.events.envelope import StateSnapshot
from fleet.limits import SNAPSHOT_EVERY_EVENTS
from tests.actors.runtime.account import (
    ACCOUNT,
    SHAPE,
    Command,
    ConfirmPayment,
    Deposit,
    OrderPayment,
    Split,
    State,
)
from tests.actors.runtime.bank import Bank, ask, running, state_of


async def test_a_stop_keeps_a_snapshot_and_activation_uses_it() -> None:
    bank = Bank()
    async with running(bank.account()) as account:
        await ask(account, Deposit(5))
    snapshot = bank.log.load_snapshot("account-1")
    assert snapshot == StateSnapshot(1, 1, SHAPE.schema, msgspec.msgpack.encode(State("1", 5)))
    forged = StateSnapshot(1, 1, SHAPE.schema, msgspec.msgpack.encode(State("1", 500)))
    bank.log.save_snapshot("account-1", forged)
    async with running(bank.account()) as account:
        await ask(account, Deposit(1))
        assert await state_of(account) == State("1", 501)


@pytest.mark.parametrize(
    ("schema", "state"), [("account/1/older", msgspec.msgpack.encode(State("1", 500))), (SHAPE.schema, b"\xc1")]
)
async def test_a_snapshot_that_does_not_fit_is_ignored(schema: str, state: bytes) -> None:
    bank = Bank()
    async with running(bank.account()) as account:
        await ask(account, Deposit(5))
    bank.log.save_snapshot("account-1", StateSnapshot(1, 1, schema, state))
    async with running(bank.account()) as account:
        assert await state_of(account) == State("1", 5)


async def test_an_erased_stream_is_as_before_its_first_event() -> None:
    bank = Bank()
    async with running(bank.account()) as account:
        await ask(account, Deposit(5))
        await ask(account, Deposit(6))
    for events in (1, 2):  # a crash came after the first; then it was erased to its end
        bank.log._erase_page("account-1", list(range(1, events + 1)))
        async with running(bank.account()) as account:
            assert await state_of(account) == State("1")
    async with running(bank.account()) as account:
        reply = await ask(account, Deposit(1))
    assert (reply.version, reply.state) == (3, State("1", 1))
    assert bank.log.load_snapshot("account-1") is None


async def test_a_long_stream_gets_snapshots_on_the_way() -> None:
    bank = Bank()
    async with running(bank.account()) as account:
        await ask(account, Split((1,) * (SNAPSHOT_EVERY_EVENTS - 1)))
        assert bank.log.load_snapshot("account-1") is None
        await ask(account, Deposit(1))
        snapshot = bank.log.load_snapshot("account-1")
        assert snapshot is not None
        assert snapshot.version == SNAPSHOT_EVERY_EVENTS


def test_the_shape_follows_the_structure_and_the_revision() -> None:
    wider = msgspec.defstruct("State", [("id", str), ("balance", int, 0), ("colour", str, "")], frozen=True)
    schemas = {
        shape_of("account", State).schema,
        shape_of("account", wider).schema,
        shape_of("account", State, 2).schema,
    }
    assert len(schemas) == 3
    assert shape_of("account", State).schema == SHAPE.schema


Commands = st.lists(
    st.one_of(
        st.builds(Deposit, st.integers(-1, 5)),
        st.builds(Split, st.lists(st.integers(1, 3), max_size=3).map(tuple)),
        st.builds(OrderPayment, st.sampled_from("abc"), st.integers(0, 3)),
        st.builds(ConfirmPayment, st.sampled_from("abc")),
        st.sampled_from(["stop", "crash", "forget snapshots"]),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(Commands)
def test_the_live_state_is_always_the_fold_of_the_log(steps: Sequence[Any]) -> None:
    async def walk() -> None:
        bank = Bank()
        account = bank.account()

        async def check(command: Command) -> None:
            reply = await ask(account, command)
            assert reply.state == fold(ACCOUNT, ACCOUNT.initial("1"), bank.events()[: reply.version])

        for commands, end in _lives(steps):
            with trio.CancelScope() as life:
                async with running(account):
                    await check(Split(()))
                    for command in commands:
                        with suppress(Rejected):
                            await check(command)
                    if end == "crash":
                        life.cancel()
                        await trio.lowlevel.checkpoint()
            if end == "forget snapshots":
                bank.disk.snapshots.clear()
            if end != "stop":
                bank.restart()
                account = bank.account()
        async with running(account):
            await trio.testing.wait_all_tasks_blocked()
            state = await state_of(account)
        assert state == fold(ACCOUNT, ACCOUNT.initial("1"), bank.events())
        assert state.unconfirmed == {}

    trio.run(walk, clock=trio.testing.MockClock(autojump_threshold=0))


def _lives(steps: Sequence[Any]) -> list[tuple[list[Any], str]]:
    """Cut `steps` at what ends a life of the account."""
    lives: list[tuple[list[Any], str]] = [([], "stop")]
    for step in steps:
        if isinstance(step, str):
            lives[-1] = (lives[-1][0], step)
            lives.append(([], "stop"))
        else:
            lives[-1][0].append(step)
    return lives
