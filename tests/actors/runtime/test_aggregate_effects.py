"""The event-sourced actor's effects: reports, what is pending after a restart, repeats and crashes."""

import trio
import trio.testing

from fleet.actors.runtime.aggregate import Aggregate, Deliver, StateReply
from fleet.actors.runtime.registry import ActorRegistry
from fleet.events.envelope import Cause
from tests.actors.runtime.account import (
    ACCOUNT,
    SHAPE,
    AmendPayment,
    Command,
    ConfirmPayment,
    Deposit,
    OrderPayment,
    PaymentConfirmed,
    PaymentOrdered,
    Split,
    State,
)
from tests.actors.runtime.bank import Bank, ask, running, state_of

Clock = trio.testing.MockClock


async def test_an_effect_reports_back_with_its_cause() -> None:
    bank = Bank()
    async with running(bank.account()) as account:
        await ask(account, Deposit(5))
        await account.ref().ask(Deliver(OrderPayment("rent", 3), Cause("tester", "c", "request")))
        await trio.testing.wait_all_tasks_blocked()
        assert await state_of(account) == State("1", 2, {}, ("rent",))
        assert account.statistics().effects == ()
    assert bank.events()[1:] == (PaymentOrdered("rent", 3), PaymentConfirmed("rent"))
    assert bank.log.read_stream("account-1")[2].cause == Cause("system", "@2", "request")


async def test_pending_effects_run_again_after_a_restart() -> None:
    bank = Bank()
    bank.hold = True
    async with running(bank.account()) as account:
        await ask(account, Split((5,)))
        await ask(account, OrderPayment("rent", 3))
        await trio.testing.wait_all_tasks_blocked()
        assert account.busy
        assert account.statistics().effects == ("pay rent",)
    assert bank.paid == ["rent"]
    bank.hold = False
    bank.restart()
    async with running(bank.account()) as account:
        await trio.testing.wait_all_tasks_blocked()
        assert await state_of(account) == State("1", 2, {}, ("rent",))
    assert bank.paid == ["rent", "rent"]


async def test_an_effect_that_is_ordered_again_while_it_runs_is_not_started_again() -> None:
    bank = Bank()
    bank.hold = True
    async with running(bank.account()) as account:
        await ask(account, Split((5,)))
        await ask(account, OrderPayment("rent", 3))
        decider = account._decider
        for effect in decider.pending(account._state):
            account._order(effect, Cause())
        await trio.testing.wait_all_tasks_blocked()
        assert bank.paid == ["rent"]
        bank.go.set()


async def test_an_effect_that_is_not_pending_any_more_is_called_off() -> None:
    bank = Bank()
    bank.hold = True
    async with running(bank.account()) as account:
        await ask(account, Split((5,)))
        await ask(account, OrderPayment("rent", 3))
        await trio.testing.wait_all_tasks_blocked()
        assert bank.under_way == {"rent"}
        await ask(account, ConfirmPayment("rent"))
        await trio.testing.wait_all_tasks_blocked()
        assert not bank.under_way
        assert not account.busy
    assert bank.paid == ["rent"]


async def test_an_effect_starts_when_the_one_that_it_replaces_has_ended(autojump_clock: Clock) -> None:
    bank = Bank()
    bank.hold, bank.clean_up_s = True, 5
    async with running(bank.account()) as account:
        await ask(account, Split((9,)))
        await ask(account, OrderPayment("rent", 3))
        for amount in (2, 1):
            await trio.sleep(1)
            await ask(account, AmendPayment("rent", amount))
        await trio.sleep(1)
        assert bank.paid == ["rent"]
        await trio.sleep(4)
        assert bank.paid == ["rent", "rent"]  # the second order was replaced before it began
        bank.go.set()
        await trio.sleep(10)
        assert (await state_of(account)).paid == ("rent",)


async def test_an_effect_starts_when_the_one_that_was_called_off_has_ended(autojump_clock: Clock) -> None:
    bank = Bank()
    bank.hold, bank.clean_up_s = True, 5
    async with running(bank.account()) as account:
        await ask(account, Split((9,)))
        await ask(account, OrderPayment("rent", 3))
        await trio.sleep(1)
        await ask(account, ConfirmPayment("rent"))
        await ask(account, AmendPayment("rent", 3))
        await trio.sleep(4)
        assert bank.paid == ["rent"]
        await trio.sleep(2)
        assert bank.paid == ["rent", "rent"]
        bank.go.set()


async def test_a_report_outlasts_a_full_disk(autojump_clock: Clock) -> None:
    bank = Bank()
    bank.hold = True
    async with running(bank.account()) as account:
        await ask(account, Deposit(5))
        await ask(account, OrderPayment("rent", 3))
        bank.disk.full = True
        bank.go.set()
        await trio.sleep(60)
        assert account.busy
        bank.disk.full = False
        await trio.sleep(11)
        assert await state_of(account) == State("1", 2, {}, ("rent",))


async def test_an_effect_that_breaks_crashes_the_account_and_runs_again_after_its_restart(
    autojump_clock: Clock,
) -> None:
    bank = Bank()
    bank.dies = True
    registry: ActorRegistry[Deliver[Command], StateReply[State]] = ActorRegistry(
        "account", lambda number, inbox: Aggregate(number, ACCOUNT, SHAPE, bank.log, bank.pay, inbox=inbox)
    )
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(registry.run, stopping)
        await registry.ask("1", Deliver(Deposit(5)))
        await registry.ask("1", Deliver(OrderPayment("rent", 3)))
        await trio.sleep(1)
        assert (await registry.ask("1", Deliver(Split(())))).state == State("1", 2, {}, ("rent",))
        assert registry.statistics().restarts == 1
        stopping.set()
    assert bank.paid == ["rent", "rent"]
