"""The examples in the client's docstrings, run against a real API; they await as `python -m asyncio` does."""

import ast
import doctest
import inspect
import io
from contextlib import redirect_stdout
from typing import Any

import pytest
import trio

from fleet import client as package
from fleet.client import (
    FleetClient,
    Session,
    Socket,
    SyncFleetClient,
    SyncSession,
    SyncSocket,
    SyncWebhook,
    Webhook,
    sync_client,
)
from fleet.client.audit import AuditLog
from tests.client.line import Line


def examples(*classes: type[Any]) -> list[Any]:
    """Return the docstrings with examples of the classes and their methods."""
    finder = doctest.DocTestFinder(recurse=True, exclude_empty=True)
    found = [test for kind in classes for test in finder.find(kind, kind.__name__, globs={}) if test.examples]
    return [pytest.param(test, id=test.name) for test in found]


async def run(test: doctest.DocTest, names: dict[str, Any]) -> None:
    """Run the examples one after the other, and compare what they print with what stands there."""
    for example in test.examples:
        said = io.StringIO()
        with redirect_stdout(said):
            value = step(example, names)
            if inspect.iscoroutine(value):
                await value
        judge(test, example, said.getvalue())


def step(example: doctest.Example, names: dict[str, Any]) -> object:
    """Run an example; one that awaits something gives a coroutine."""
    code = compile(example.source, "example", "single", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return eval(code, names)  # the examples are ours


def judge(test: doctest.DocTest, example: doctest.Example, said: str) -> None:
    matches = doctest.OutputChecker().check_output(example.want, said, 0)
    assert matches, f"{test.name}: {example.source.strip()} gave {said!r}, not {example.want!r}"


@pytest.mark.parametrize("test", examples(FleetClient, AuditLog, Session, Socket, Webhook))
async def test_docstring_example_of_the_client_is_correct(test: doctest.DocTest, fleet: FleetClient) -> None:
    await run(test, {"fleet": fleet})


@pytest.mark.parametrize("test", examples(SyncFleetClient, SyncSession, SyncSocket))
async def test_docstring_example_of_the_sync_client_is_correct(test: doctest.DocTest, line: Line) -> None:
    def script() -> None:
        with sync_client(line.url) as sync:
            names: dict[str, Any] = {"sync": sync}
            for example in test.examples:
                said = io.StringIO()
                with redirect_stdout(said):
                    step(example, names)
                judge(test, example, said.getvalue())

    await trio.to_thread.run_sync(script)


def test_client_docstrings_have_examples() -> None:
    assert len(examples(FleetClient, AuditLog, Session, Socket, Webhook)) >= 7
    assert len(examples(SyncFleetClient, SyncSession, SyncSocket)) >= 3


def test_sync_client_has_every_method_of_the_client() -> None:
    def public(kind: type[Any]) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}

    assert public(FleetClient) == public(SyncFleetClient)
    assert public(Session) == public(SyncSession)
    assert public(Webhook) == public(SyncWebhook)
    assert public(Socket) - {"link"} == public(SyncSocket)
    assert all(hasattr(package, name) for name in package.__all__)
