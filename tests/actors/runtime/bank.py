"""The toy account at work: a log in memory, what pays the bills, and an account's actor that runs for a while."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from fleet.actors.runtime.aggregate import Aggregate, Deliver, ReportBack, StateReply
from fleet.events.envelope import Cause
from tests.actors.runtime.account import ACCOUNT, SHAPE, Command, ConfirmPayment, Event, Pay, Split, State, registry
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog

Account = Aggregate[Command, State, Event, Pay]


class Bank:
    """A log, and what pays the bills. `hold` keeps payments under way until `go`; `dies` crashes the next of them.

    A payment that is called off still takes `clean_up_s`.
    """

    def __init__(self) -> None:
        self.disk = MemoryDisk()
        self.log = MemoryLog(self.disk, registry(), FakeClock())
        self.paid: list[str] = []
        self.under_way: set[str] = set()
        self.hold = False
        self.go = trio.Event()
        self.dies = False
        self.clean_up_s = 0.0

    def account(self, number: str = "1") -> Account:
        return Aggregate(number, ACCOUNT, SHAPE, self.log, self.pay)

    async def pay(self, effect: Pay, report: ReportBack[Command]) -> None:
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
            with trio.CancelScope(shield=True):
                await trio.sleep(self.clean_up_s)
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


async def ask(
    account: Account, command: Command, command_id: str | None = None, digest: bytes = b""
) -> StateReply[State]:
    return await account.ref().ask(Deliver(command, Cause("tester"), command_id, digest))


async def state_of(account: Account) -> State:
    return (await ask(account, Split(()))).state
