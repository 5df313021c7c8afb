"""The event-sourced actor, through a toy account on a log in memory."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.actors.aggregate import Aggregate, Deliver, Reply, Report, shape_of
from fleet.actors.directory import Directory
from fleet.core.decider import fold
from fleet.errors import Problem, Rejected, Unavailable
from fleet.events.envelope import Appended, Cause, CommandRecord, Snapshot
from fleet.events.log import VersionConflict
from fleet.events.memory_log import MemoryDisk, MemoryLog
from fleet.limits import SNAPSHOT_EVERY_EVENTS
from tests.actors.account import (
    ACCOUNT,
    SHAPE,
    Break,
    Command,
    ConfirmPayment,
    Deposit,
    Deposited,
    Event,
    OrderPayment,
    Pay,
    PaymentConfirmed,
    PaymentOrdered,
    Split,
    State,
    registry,
)
from tests.fakes.clock import FakeClock

Clock = trio.testing.MockClock
Account = Aggregate[Command, State, Event, Pay]


class Bank:
    """A log, and what pays the bills. `hold` keeps payments under way until `go`; `dies` crashes the next of them."""

    def __init__(self) -> None:
        self.disk = MemoryDisk()
        self.log = MemoryLog(self.disk, registry(), FakeClock())
        self.paid: list[str] = []
        self.under_way: set[str] = set()
        self.hold = False
        self.go = trio.Event()
        self.dies = False

    def account(self, number: str = "1") -> Account:
        return Aggregate(number, ACCOUNT, SHAPE, self.log, self.pay)

    async def pay(self, effect: Pay, report: Report[Command]) -> None:
        assert effect.bill not in self.under_way, "an effect runs twice at once"
        self.under_way.add(effect.bill)
        try:
            self.paid.append(effect.bill)
            if self.hold:
                await self.go.wait()
            if self.dies:
                self.dies = False
                raise ZeroDivisionError("a bug in an effect")
            await report(ConfirmPayment(effect.bill))
        finally:
            self.under_way.discard(effect.bill)

    def events(self, stream: str = "account-1") -> tuple[Event, ...]:
        return tuple(recorded.event for recorded in self.log.read_stream(stream))

    def restart(self) -> None:
        """Open the log again, as a new process does."""
        self.log.crash()
        self.log = MemoryLog(self.disk, registry(), FakeClock())


@asynccontextmanager
async def running(account: Account) -> AsyncGenerator[Account]:
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(account.run, stopping)
        yield account
        stopping.set()


async def ask(account: Account, command: Command, command_id: str | None = None, digest: bytes = b"") -> Reply[State]:
    return await account.ref().ask(Deliver(command, Cause("tester"), command_id, digest))


async def state_of(account: Account) -> State:
    return (await ask(account, Split(()))).state


async def test_a_command_is_recorded_then_answered() -> None:
    bank = Bank()
    async with running(bank.account()) as account:
        assert await ask(account, Deposit(5)) == Reply(1, 1, State("1", 5))
        assert await ask(account, Split((1, 2))) == Reply(3, 3, State("1", 8))
    assert bank.events() == (Deposited(5), Deposited(1), Deposited(2))
    assert bank.log.read_stream("account-1")[0].cause == Cause("tester")


async def test_a_refused_command_changes_nothing() -> None:
    bank = Bank()
    async with running(bank.account()) as account:
        with pytest.raises(Rejected, match="Deposit more than nothing"):
            await ask(account, Deposit(0))
        assert await state_of(account) == State("1")
    assert bank.log.head() == 0


async def test_a_command_without_events_answers_where_things_stand() -> None:
    bank = Bank()
    async with running(bank.account("other")) as other:
        await ask(other, Split((1, 1, 1)))
    async with running(bank.account()) as account:
        assert await ask(account, Split(())) == Reply(0, 0, State("1"))
        await ask(account, Deposit(5))
        assert await ask(account, Split(())) == Reply(4, 1, State("1", 5))
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
        assert again == Reply(1, 1, State("1", 6), repeated=True)
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
        assert await ask(account, Deposit(1)) == Reply(2, 2, State("1", 6))


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
    """The log says yes, and the process ends before anybody hears of it."""
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


# ---------------------------------------------------------------------------------------------------------- effects


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
        account._order(decider.pending(account._state), Cause())
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
    directory: Directory[Deliver[Command], Reply[State]] = Directory(
        "account", lambda number, inbox: Aggregate(number, ACCOUNT, SHAPE, bank.log, bank.pay, inbox=inbox)
    )
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(directory.run, stopping)
        await directory.ask("1", Deliver(Deposit(5)))
        await directory.ask("1", Deliver(OrderPayment("rent", 3)))
        await trio.sleep(1)
        assert (await directory.ask("1", Deliver(Split(())))).state == State("1", 2, {}, ("rent",))
        assert directory.statistics().restarts == 1
        stopping.set()
    assert bank.paid == ["rent", "rent"]


# -------------------------------------------------------------------------------------------------------- snapshots


async def test_a_stop_keeps_a_snapshot_and_activation_uses_it() -> None:
    bank = Bank()
    async with running(bank.account()) as account:
        await ask(account, Deposit(5))
    snapshot = bank.log.load_snapshot("account-1")
    assert snapshot == Snapshot(1, 1, SHAPE.schema, msgspec.msgpack.encode(State("1", 5)))
    forged = Snapshot(1, 1, SHAPE.schema, msgspec.msgpack.encode(State("1", 500)))
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
    bank.log.save_snapshot("account-1", Snapshot(1, 1, schema, state))
    async with running(bank.account()) as account:
        assert await state_of(account) == State("1", 5)


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


@settings(max_examples=60, deadline=None)
@given(Commands)
def test_the_live_state_is_the_fold_of_the_log_whatever_happens(steps: Sequence[Any]) -> None:
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
        assert await ask(account, Deposit(5), "key") == Reply(1, 1, State("1", 5), repeated=True)
    assert bank.log.head() == 1
