"""Exported lines prove themselves, and every change of one is found."""

from collections.abc import Callable

import msgspec
import pytest

from fleet.events.envelope import Cause
from fleet.events.erasures import ErasedStream
from fleet.events.export import ExportReport, export_page, verify_export
from fleet.events.verify import verify
from fleet.limits import EXPORT_PAGE_EVENTS
from tests.events.samples import Gone, Opened, sample_registry
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog

EVENTS = 2 * EXPORT_PAGE_EVENTS + 5


@pytest.fixture
async def log() -> MemoryLog:
    log = MemoryLog(MemoryDisk(), sample_registry(), FakeClock())
    for number in range(EVENTS):
        stream = "a-secret" if number % 10 == 3 else "plain"
        version = log.stream_version(stream)
        cause = Cause("token:é", f"@{number}", "r")
        await log.append(stream, version, [Opened(f"title {number} é \u2028")], cause, command_id=f"c{number}")
    return log


def exported(log: MemoryLog, after: int = 0, through: int = EVENTS) -> list[bytes]:
    found = b""
    while after < through:
        page, after = export_page(log, after, through)
        assert page.count(b"\n") <= EXPORT_PAGE_EVENTS
        found += page
    return found.splitlines(keepends=True)


async def test_export_of_the_whole_log_is_verified(log: MemoryLog) -> None:
    assert verify_export(exported(log)) == ExportReport(EVENTS, 1, EVENTS, 0, verify(log).digest)


async def test_export_of_any_part_is_verified(log: MemoryLog) -> None:
    found = verify_export(exported(log, 17, 200))
    assert (found.events, found.first, found.last, found.first_break) == (183, 18, 200, None)
    assert verify_export([*exported(log, 0, 17), *exported(log, 17, EVENTS)]).events == EVENTS


async def test_erased_event_is_verified_by_its_header(log: MemoryLog) -> None:
    await log.append("a-secret", log.stream_version("a-secret"), [Gone()], Cause("token:é"))
    await log.erase("a-secret")
    lines = exported(log, through=EVENTS + 1)
    found = verify_export(lines)
    assert (found.events, found.erased, found.digest) == (EVENTS + 1, 27, verify(log).digest)
    at_ms = log.read_all(EVENTS)[0].recorded_at_ms
    assert found.erasures == (ErasedStream("a-secret", EVENTS + 1, "token:é", at_ms, 27, 27),)
    assert found.first_break is None
    unproven = verify_export(lines[:-1])
    assert unproven.first_break is not None
    assert (unproven.first_break.position, "up to its end" in unproven.first_break.reason) == (4, True)
    assert b"title 3 " not in b"".join(lines)


def rewritten(member: str, value: object) -> Callable[[list[bytes]], None]:
    def spoil(lines: list[bytes]) -> None:
        line = msgspec.json.decode(lines[9])
        assert line[member] != value
        line[member] = value
        lines[9] = msgspec.json.encode(line) + b"\n"

    return spoil


def left_out(lines: list[bytes]) -> None:
    del lines[9]


def swapped(lines: list[bytes]) -> None:
    lines[9], lines[10] = lines[10], lines[9]


def torn(lines: list[bytes]) -> None:
    lines[9] = lines[9][:-20]


def no_json(lines: list[bytes]) -> None:
    lines[9] = b"\xff\n"


def another_log_s(lines: list[bytes]) -> None:
    lines[9] = lines[8]


@pytest.mark.parametrize(
    "spoil",
    [
        left_out,
        swapped,
        torn,
        no_json,
        another_log_s,
        rewritten("data", {"title": "Other"}),
        rewritten("stream", "other"),
        rewritten("type", "sample.counted"),
        rewritten("actor", "local"),
        rewritten("causationId", None),
        rewritten("commandId", "other"),
        rewritten("recordedAtMs", 0),
        rewritten("version", 77),
        rewritten("position", 77),
        rewritten("erased", True),
        rewritten("header", "AAAA"),
        rewritten("salt", ""),
        rewritten("salt", "not base64!"),
    ],
)
async def test_changed_line_is_found(log: MemoryLog, spoil: Callable[[list[bytes]], None]) -> None:
    lines = exported(log)
    spoil(lines)
    found = verify_export(lines)
    assert found.first_break is not None
    assert (found.events, found.last, found.first_break.position) == (9, 9, 10)


async def test_replaced_first_event_is_found(log: MemoryLog) -> None:
    lines = exported(log)
    other = MemoryLog(MemoryDisk(), sample_registry(), FakeClock())
    await other.append("plain", 0, [Opened("Other")], Cause())
    lines[0] = exported(other, 0, 1)[0]
    assert verify_export(lines).events == 1


def test_empty_export_verifies_nothing() -> None:
    assert verify_export([]).events == 0
