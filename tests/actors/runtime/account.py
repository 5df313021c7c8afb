"""A toy aggregate: an account that takes deposits and pays bills, each by an effect that reports back."""

from typing import NamedTuple

import msgspec

from fleet.actors.runtime.shape import shape_of
from fleet.core.decider import Decider
from fleet.errors import Rejected
from fleet.events.registry import EventRegistry


class Deposit(msgspec.Struct, frozen=True):
    amount: int


class Split(msgspec.Struct, frozen=True):
    """Deposits in several events at once."""

    amounts: tuple[int, ...]


class OrderPayment(msgspec.Struct, frozen=True):
    bill: str
    amount: int


class ConfirmPayment(msgspec.Struct, frozen=True):
    bill: str


class AmendPayment(msgspec.Struct, frozen=True):
    bill: str
    amount: int


class Break(msgspec.Struct, frozen=True):
    """A command that `decide` has a bug for."""


Command = Deposit | Split | OrderPayment | AmendPayment | ConfirmPayment | Break


class Deposited(msgspec.Struct, frozen=True):
    amount: int


class PaymentOrdered(msgspec.Struct, frozen=True):
    bill: str
    amount: int


class PaymentConfirmed(msgspec.Struct, frozen=True):
    bill: str


Event = Deposited | PaymentOrdered | PaymentConfirmed


class State(msgspec.Struct, frozen=True):
    id: str
    balance: int = 0
    unconfirmed: dict[str, int] = {}
    paid: tuple[str, ...] = ()


class Pay(NamedTuple):
    bill: str
    amount: int

    @property
    def key(self) -> str:
        return f"pay {self.bill}"


def decide(command: Command, state: State) -> tuple[Event, ...]:
    match command:
        case Deposit(amount):
            if amount <= 0:
                raise Rejected("invalid", "Deposit more than nothing")
            return (Deposited(amount),)
        case Split(amounts):
            return tuple(Deposited(amount) for amount in amounts)
        case OrderPayment(bill, amount):
            if bill in state.unconfirmed or bill in state.paid:
                return ()
            if amount > state.balance:
                raise Rejected("invalid", "There is not enough in the account")
            return (PaymentOrdered(bill, amount),)
        case AmendPayment(bill, amount):
            return (PaymentOrdered(bill, amount),)
        case ConfirmPayment(bill):
            if bill not in state.unconfirmed:
                raise Rejected("invalid", "Nobody ordered this payment")
            return (PaymentConfirmed(bill),)
        case Break():
            raise ZeroDivisionError("a bug in decide")


def evolve(state: State, event: Event) -> State:
    match event:
        case Deposited(amount):
            return msgspec.structs.replace(state, balance=state.balance + amount)
        case PaymentOrdered(bill, amount):
            unconfirmed = {**state.unconfirmed, bill: amount}
            return msgspec.structs.replace(state, balance=state.balance - amount, unconfirmed=unconfirmed)
        case PaymentConfirmed(bill):
            unconfirmed = {key: amount for key, amount in state.unconfirmed.items() if key != bill}
            return msgspec.structs.replace(state, unconfirmed=unconfirmed, paid=(*state.paid, bill))


def react(state: State, event: Event) -> tuple[Pay, ...]:
    return (Pay(event.bill, event.amount),) if isinstance(event, PaymentOrdered) else ()


def pending(state: State) -> tuple[Pay, ...]:
    return tuple(Pay(bill, amount) for bill, amount in state.unconfirmed.items())


ACCOUNT: Decider[Command, State, Event, Pay] = Decider("account", State, decide, evolve, react, pending)
SHAPE = shape_of("account", State)


def registry() -> EventRegistry:
    events = EventRegistry()
    for cls in (Deposited, PaymentOrdered, PaymentConfirmed):
        events.register(cls, cls.__name__)
    return events
