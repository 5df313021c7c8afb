"""The recorded histories, on which the tests of the dashboard stand, are what this Fleet says today."""

import os
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import structlog.testing
import trio
from trio.testing import MockClock

from tests.fakes.scheduling import deterministic
from tests.gateway.test_wire_types import strict
from tests.histories.recorder import Recorder
from tests.histories.scenes import SCENES, Scene
from tools.wire_types import served_document

HERE = Path(__file__).parent


def recorded(scene: Scene) -> bytes:
    """Return the lines of a history."""
    lines: list[object] = []

    async def record() -> None:
        async with trio.open_nursery() as nursery:
            recorder = Recorder(nursery, (scene.__doc__ or "").strip())
            await scene(recorder)
            lines.extend(recorder.lines)
            nursery.cancel_scope.cancel()

    with deterministic(0), structlog.testing.capture_logs():
        trio.run(record, clock=MockClock(autojump_threshold=0))
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


@pytest.mark.parametrize("name", SCENES)
def test_a_recorded_history_is_what_the_page_receives_today(name: str) -> None:
    file, lines = HERE / f"{name}.jsonl", recorded(SCENES[name])
    if os.environ.get("FLEET_WRITE_HISTORIES"):
        file.write_bytes(lines)
    assert file.exists(), "run `make histories`"
    before, now = file.read_bytes().splitlines(), lines.splitlines()
    changed = next(
        (number for number, pair in enumerate(zip(before, now, strict=False), 1) if pair[0] != pair[1]), None
    )
    assert changed is None, f"line {changed} of {file.name}: look at it, then run `make histories`"
    assert len(before) == len(now)


def test_recording_a_history_again_gives_the_same_bytes() -> None:
    assert recorded(SCENES["restart"]) == recorded(SCENES["restart"])


@pytest.fixture(scope="module")
def schemas() -> Any:
    """Return the schemas of this Fleet, of which nothing may be said that they do not name."""
    with structlog.testing.capture_logs():
        return strict(served_document()["components"]["schemas"])


@pytest.mark.parametrize("name", SCENES)
def test_recorded_frames_fit_their_schemas(name: str, schemas: Any) -> None:
    lines = [msgspec.json.decode(line) for line in (HERE / f"{name}.jsonl").read_bytes().splitlines()]
    for kind, schema in (("frame", "ServerFrame"), ("sent", "ClientFrame")):
        whole = {"components": {"schemas": schemas}, "$ref": f"#/components/schemas/{schema}"}
        allowed = jsonschema_rs.Draft202012Validator(whole)
        for line in lines:
            errors = [error.message for error in allowed.iter_errors(line[kind])] if kind in line else []
            assert not errors, (line, errors)


def test_every_recorded_history_has_a_scene() -> None:
    assert {file.stem for file in HERE.glob("*.jsonl")} == SCENES.keys()
