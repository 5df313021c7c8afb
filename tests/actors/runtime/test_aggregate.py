"""The event-sourced actor, through a toy account: commands, refusals, repetitions, crashes."""

from typing import Any

import pytest
import trio
import trio.testing

from fleet.actors.runtime.aggregate import Aggregate, Deliver, StateReply
from fleet.errors import Problem, Rejected, Unavailable
from fleet.events.envelope import Appended, Cause, CommandRecord
from fleet.events.log import VersionConflict
from tests.actors.runtime.account import (
    ACCOUNT,
    SHAPE,
    Break,
    Deposit,
    Deposited,
    Event,
    OrderPayment,
    Pay,
    Split,
    State,
    registry,
)
from tests.actors.runtime.bank import Bank, ask, running, state_of
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryLog


async def test_a_command_is_recorded_then_answered() -> None:
    bank = Bank()
    async with running(bank.account()) as account:
        assert await ask(account, Deposit(5)) == StateReply(1, 1, State("1", 5))
        assert await ask(account, Split((1, 2))) == StateReply(3, 3, State("1", 8))
    assert bank.events() == (Deposited(5), Deposited(1), Deposited(2))
    assert bank.log.read_stream("account-1")[0].cause == Cause("tester")


async def test_a_refused_command_changes_nothing() -> None:
    bank = Bank()
    async with running(bank.account()) as account:
        with pytest.raises(Rejected, match="Deposit more than nothing"):
            await ask(account, Deposit(0))
        assert await state_of(account) == State("1")
    assert bank.log.head() == 0


async def test_a_command_without_events_returns_the_present_state() -> None:
    bank = Bank()
    async with running(bank.account("other")) as other:
        await ask(other, Split((1, 1, 1)))
    async with running(bank.account()) as account:
        assert await ask(account, Split(())) == StateReply(0, 0, State("1"))
        await ask(account, Deposit(5))
        assert await ask(account, Split(())) == StateReply(4, 1, State("1", 5))
    assert bank.log.head() == 4


async def test_the_order_is_append_evolve_reply_react() -> None:
    bank = Bank()
    seen: list[str] = []

    def evolve(state: State, event: Event) -> State:
        seen.append(f"evolve at {bank.log.head()}")
        return ACCOUNT.evolve(state, event)

    def react(state: State, event: Event) -> tuple[Pay, ...]:
        seen.append(f"react to {state.balance}")
        return ACCOUNT.react(state, event)

    decider = ACCOUNT._replace(evolve=evolve, react=react)
    async with running(Aggregate("1", decider, SHAPE, bank.log, bank.pay)) as account:
        await ask(account, Split((1, 2)))
    assert seen == ["evolve at 2", "evolve at 2", "react to 1", "react to 3"]


async def test_a_repeated_command_id_does_nothing_twice() -> None:
    bank = Bank()
    async with running(bank.account()) as account:
        await ask(account, Deposit(5), "key", b"digest")
        await ask(account, Deposit(1))
        again = await ask(account, Deposit(5), "key", b"digest")
        assert again == StateReply(1, 1, State("1", 6), repeated=True)
        with pytest.raises(Rejected) as refusal:
            await ask(account, Deposit(6), "key", b"another")
        assert refusal.value.code == "idempotency_conflict"
    bank.restart()
    async with running(bank.account()) as account:
        assert (await ask(account, Deposit(5), "key", b"digest")).repeated
    async with running(bank.account("other")) as other:
        with pytest.raises(Rejected) as refusal:
            await ask(other, Deposit(5), "key", b"digest")
        assert refusal.value.code == "idempotency_conflict"
    assert bank.log.head() == 2


async def test_a_full_disk_is_the_answer_and_the_account_lives_on() -> None:
    bank = Bank()
    async with running(bank.account()) as account:
        await ask(account, Deposit(5))
        bank.disk.full = True
        with pytest.raises(Unavailable) as refusal:
            await ask(account, Deposit(5))
        assert refusal.value.code == "disk_full"
        assert await state_of(account) == State("1", 5)
        bank.disk.full = False
        assert await ask(account, Deposit(1)) == StateReply(2, 2, State("1", 6))


async def test_a_second_writer_crashes_the_account_which_starts_again_from_the_log() -> None:
    bank = Bank()
    account = bank.account()
    problems: list[Problem] = []

    async def deposit_behind_a_second_writer() -> None:
        await trio.testing.wait_all_tasks_blocked()
        await bank.log.append("account-1", 0, [Deposited(100)], Cause())
        try:
            await ask(account, Deposit(5))
        except Problem as problem:
            problems.append(problem)

    async with trio.open_nursery() as askers:
        askers.start_soon(deposit_behind_a_second_writer)
        with pytest.raises(ExceptionGroup) as crash:
            await account.run(trio.Event())
        assert crash.group_contains(VersionConflict)
    assert [problem.code for problem in problems] == ["interrupted"]
    async with running(account):
        assert await state_of(account) == State("1", 100)


async def test_a_bug_in_decide_crashes_and_records_nothing() -> None:
    bank = Bank()
    account = bank.account()
    account.ref().tell(Deliver(Break()))
    with pytest.raises(ExceptionGroup) as crash:
        await account.run(trio.Event())
    assert crash.group_contains(ZeroDivisionError)
    assert bank.log.head() == 0


async def test_an_evolve_that_refuses_crashes_since_its_event_is_on_disk() -> None:
    bank = Bank()

    def evolve(_state: State, _event: Event) -> State:
        raise Rejected("invalid", "evolve must not refuse")

    account = Aggregate("1", ACCOUNT._replace(evolve=evolve), SHAPE, bank.log, bank.pay)
    account.ref().tell(Deliver(Deposit(1)))
    with pytest.raises(ExceptionGroup) as crash:
        await account.run(trio.Event())
    assert crash.group_contains(RuntimeError, match="must accept every recorded event")
    assert bank.log.head() == 1


async def test_a_crash_between_append_and_reply_keeps_the_event() -> None:
    """The log says yes, and the process ends before a client hears of it."""
    bank = Bank()
    account = bank.account()
    with trio.CancelScope() as scope:
        bank.log.listen(lambda _: scope.cancel())
        async with trio.open_nursery() as nursery:
            await nursery.start(account.run, trio.Event())
            await ask(account, OrderPayment("none", 0))
    assert bank.paid == []
    bank.restart()
    async with running(bank.account()) as account:
        await trio.testing.wait_all_tasks_blocked()
        assert bank.paid == ["none"]
        assert await state_of(account) == State("1", 0, {}, ("none",))


async def test_an_append_that_finds_its_command_id_on_disk_is_a_repetition() -> None:
    """The log is the last to know: what it says was appended before is answered as such."""
    bank = Bank()

    class Forgetful(MemoryLog):
        appending = False

        async def append(self, *args: Any, **options: Any) -> Appended:
            self.appending = True
            try:
                return await super().append(*args, **options)
            finally:
                self.appending = False

        def find_command(self, command_id: str) -> CommandRecord | None:
            return super().find_command(command_id) if self.appending else None

    bank.log = Forgetful(bank.disk, registry(), FakeClock())
    async with running(bank.account()) as account:
        await ask(account, Deposit(5), "key")
        assert await ask(account, Deposit(5), "key") == StateReply(1, 1, State("1", 5), repeated=True)
    assert bank.log.head() == 1
