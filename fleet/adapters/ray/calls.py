"""Encodes calls of the methods of ports, so that they can be carried out on another machine.

The types come from the port's own type hints: a port needs no second description. A result, a `Problem` and a bug each
have a form; a `Problem` arrives as it was raised. A wait that has to be bounded ends with `Expired`, which is not an
error: the caller waits again.
"""

import inspect
import traceback
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, Final, Literal, NamedTuple, Union, cast, get_args, get_origin, get_type_hints

import msgspec
import trio

from fleet.errors import PROBLEMS, Problem, Rejected, Unavailable, problem_of

Kind = Literal["rejected", "unavailable", "problem"]
_KINDS: Final[Mapping[Kind, type[Problem]]] = {"rejected": Rejected, "unavailable": Unavailable, "problem": Problem}


class RemoteBugError(Exception):
    """The called method raised an error that is no `Problem`. The text is the traceback on the other machine."""


class OtherVersion(Unavailable):
    """What the other machine answered cannot be read: its agent is of another version of Fleet."""

    def __init__(self, reason: str) -> None:
        super().__init__("host_unreachable", f"the host's agent is of another version of Fleet: {reason}")


class Returned(msgspec.Struct, frozen=True, tag=True):
    """The encoded result of a call."""

    body: bytes


class Raised(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """The `Problem` that a call raised."""

    kind: Kind
    code: str
    detail: str
    field: str | None = None
    hint: str | None = None
    retry_after_s: int | None = None
    extra: dict[str, Any] = {}


class Crashed(msgspec.Struct, frozen=True, tag=True):
    """The traceback of the bug that ended a call."""

    text: str


class Expired(msgspec.Struct, frozen=True, tag=True):
    """The call did not end within its limit, and was cancelled."""


Answer = Returned | Raised | Crashed | Expired

_encode: Final = msgspec.msgpack.Encoder().encode
_answers: Final = msgspec.msgpack.Decoder[Answer](Answer)


class Method:
    """A method of a port: encodes and decodes its arguments and its result."""

    def __init__(self, function: Callable[..., object]) -> None:
        hints = get_type_hints(function)
        result = hints.pop("return", NoneType)
        self._signature = inspect.signature(function)
        parameters = list(self._signature.parameters.values())[1:]
        self._names = [each.name for each in parameters]
        self._defaults = [each.default for each in parameters]
        self._types = tuple(hints.values())
        self._positional = sum(each.kind is not inspect.Parameter.KEYWORD_ONLY for each in parameters)
        self._arguments: msgspec.msgpack.Decoder[tuple[Any, ...]] = msgspec.msgpack.Decoder(_tuple_of(self._types))
        self._named = _structs_of(result)
        self._result: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(
            tuple[str, msgspec.Raw] if self._named else result
        )

    def encode_arguments(self, *arguments: object, **named: object) -> bytes:
        """Return the arguments, defaults included. Raises `TypeError` if they do not fit."""
        bound = self._signature.bind(None, *arguments, **named)
        bound.apply_defaults()
        return _encode([bound.arguments[name] for name in self._names])

    def decode_arguments(self, body: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments in order, and those that have to be named."""
        at = self._positional
        try:
            found = self._arguments.decode(body)
        except msgspec.ValidationError:
            found = self._of_older(body)
        return found[:at], dict(zip(self._names[at:], found[at:], strict=True))

    def _of_older(self, body: bytes) -> tuple[Any, ...]:
        """Return the arguments of an older server, which does not know the last ones: they have their defaults."""
        sent = len(msgspec.msgpack.decode(body, type=list[msgspec.Raw]))
        missing = self._defaults[sent:]
        if not missing or inspect.Parameter.empty in missing:
            raise TypeError(f"{sent} of {len(self._names)} arguments were sent, or they have other types")
        return (*msgspec.msgpack.decode(body, type=_tuple_of(self._types[:sent])), *missing)

    def encode_result(self, result: object) -> bytes:
        """Return the result; if it is one of several structs, with the name of its class."""
        return _encode((type(result).__name__, result) if self._named else result)

    def decode_result(self, body: bytes) -> Any:
        """Return the result."""
        found = self._result.decode(body)
        return msgspec.msgpack.decode(found[1], type=self._named[found[0]]) if self._named else found


def with_last_argument(body: bytes, last: object) -> bytes:
    """Return encoded arguments with another last one."""
    return _encode([*msgspec.msgpack.decode(body, type=list[msgspec.Raw])[:-1], last])


def _tuple_of(types: tuple[Any, ...]) -> Any:
    """Return the type of a tuple with these types, which are known at run time."""
    return tuple[*types]  # type: ignore[valid-type]  # made at run time


def _structs_of(result: object) -> dict[str, type[msgspec.Struct]]:
    """Return the structs of a union by name, empty if there are fewer than two: msgspec cannot tell them apart."""
    members = get_args(result) if get_origin(result) in (Union, UnionType) else ()
    structs = {each.__name__: each for each in members if isinstance(each, type) and issubclass(each, msgspec.Struct)}
    return structs if len(structs) > 1 else {}


@cache
def method_of(port: type, name: str) -> Method:
    """Return a method of a port. Raises `LookupError` if it has none of this name."""
    function = getattr(port, name, None)
    if name.startswith("_") or not inspect.isfunction(function):
        raise LookupError(f"{port.__name__} has no method {name!r}")
    return Method(function)


class Served(NamedTuple):
    """Ports by name, as types, and their implementations."""

    ports: Mapping[str, type]
    implementations: Mapping[str, object]


async def carry_out(served: Served, port: str, name: str, body: bytes, limit_s: float | None) -> bytes:
    """Call the method and return the encoded `Answer`. With a limit, the call is cancelled after so many seconds."""
    with trio.move_on_after(limit_s if limit_s is not None else float("inf")):
        return _encode(await _answer(served, port, name, body))
    return _encode(Expired())


async def _answer(served: Served, port: str, name: str, body: bytes) -> Answer:
    try:
        method = method_of(served.ports[port], name)
        arguments, named = method.decode_arguments(body)
        result = getattr(served.implementations[port], name)(*arguments, **named)
        if inspect.isawaitable(result):
            result = await result
        return Returned(method.encode_result(result))
    except Problem as problem:
        return _form_of(problem)
    except OSError as error:
        return _form_of(problem_of(error))
    except Exception:
        return Crashed(traceback.format_exc())


def _form_of(problem: Problem) -> Raised:
    kind: Kind = "problem"
    if isinstance(problem, Rejected | Unavailable):
        kind = "rejected" if isinstance(problem, Rejected) else "unavailable"
    extra = cast("dict[str, Any]", msgspec.to_builtins(problem.extra))
    return Raised(kind, problem.code, problem.detail, problem.field, problem.hint, problem.retry_after_s, extra)


def result_of(port: type, name: str, answer: bytes) -> Any:
    """Return the result of a call, or `EXPIRED`. Raises its `Problem`, or `RemoteBugError`, `OtherVersion`."""
    try:
        return _result_of(port, name, _answers.decode(answer))
    except (msgspec.MsgspecError, LookupError) as error:
        raise OtherVersion(str(error)) from error


def _result_of(port: type, name: str, decoded: Answer) -> Any:
    match decoded:
        case Returned():
            return method_of(port, name).decode_result(decoded.body)
        case Raised():
            raise _problem_of(decoded)
        case Crashed():
            raise RemoteBugError(decoded.text)
        case Expired():
            return EXPIRED


EXPIRED: Final = Expired()
"""What `result_of` returns for a call that was cancelled at its limit."""


def _problem_of(raised: Raised) -> Problem:
    if raised.code not in PROBLEMS:  # of another version of Fleet
        return Problem("internal", f"{raised.detail} [{raised.code}]")
    return _KINDS[raised.kind](
        raised.code,
        raised.detail,
        field=raised.field,
        hint=raised.hint,
        retry_after_s=raised.retry_after_s,
        extra=raised.extra,
    )


Send = Callable[[str, bytes, float | None], Awaitable[bytes]]
"""Carries out a method of one port elsewhere: its name, the encoded arguments, the limit; returns the answer."""


class Remote:
    """The methods of a port, carried out on the machine `where`. Those that are not asynchronous there are it here."""

    def __init__(self, port: type, send: Send, where: str = "") -> None:
        self._port = port
        self._send = send
        self._where = where

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        """Return the method of this name."""
        try:
            method_of(self._port, name)
        except LookupError as error:
            raise AttributeError(str(error)) from None
        return partial(self.call, name)

    async def call(self, name: str, /, *arguments: object, **named: object) -> Any:
        """Call a method. Raises its `Problem`, and `Unavailable` host_unreachable, engine_down."""
        body = method_of(self._port, name).encode_arguments(*arguments, **named)
        return self._result(name, await self._send(name, body, None))

    async def call_within(self, limit_s: float, name: str, /, *arguments: object) -> Any:
        """Call a method that waits; return `EXPIRED` if it has not ended after `limit_s`."""
        body = method_of(self._port, name).encode_arguments(*arguments)
        return self._result(name, await self._send(name, body, limit_s))

    def _result(self, name: str, answer: bytes) -> Any:
        """Return the result. What is wrong with the machine itself says which machine it is."""
        try:
            return result_of(self._port, name, answer)
        except Unavailable as problem:
            if problem.code == "disk_full" and self._where:
                problem.detail = f"on the host {self._where}, {problem.detail}"
                problem.hint = f"Free some space on the disk of {self._where}, then try again."
            raise
