"""Each commit of the log is a span, linked to the commands that wait for it."""

from pathlib import Path

import pytest
import trio
from opentelemetry.trace import StatusCode

from fleet.errors import Unavailable
from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.traces import NOWHERE
from tests.events.samples import Counted, sample_registry
from tests.fakes.clock import FakeClock
from tests.fakes.spans import of, recorded, span_id

CAUSE = Cause("local")


async def test_span_of_a_commit_is_linked_to_its_appends(tmp_path: Path) -> None:
    with recorded() as (traces, spans), LmdbLog.open(tmp_path, sample_registry(), FakeClock(), traces=traces) as log:

        async def append(number: int) -> None:
            with traces.span(f"command {number}", NOWHERE, {}):
                await log.append(f"stream-{number}", 0, [Counted(1, "WORDS"), Counted(2)], CAUSE)

        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            async with trio.open_nursery() as commands:
                for number in range(3):
                    commands.start_soon(append, number)
                commands.start_soon(log.append, "no-command", 0, [Counted(1)], CAUSE)
            log.stop()
        commit = spans.only("log commit")
        assert (of(commit, "fleet.appends"), of(commit, "fleet.events"), of(commit, "fleet.outcome")) == (4, 7, "done")
        assert {link.context.span_id for link in commit.links} == {
            span_id(spans.only(f"command {number}")) for number in range(3)
        }
        assert "WORDS" not in commit.to_json()


async def test_span_of_a_failed_commit_has_the_error(tmp_path: Path) -> None:
    with (
        recorded() as (traces, spans),
        LmdbLog.open(tmp_path, sample_registry(), FakeClock(), free_bytes=lambda: 0, traces=traces) as log,
    ):
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            with pytest.raises(Unavailable):
                await log.append("stream", 0, [Counted(1)], CAUSE)
            log.stop()
        commit = spans.only("log commit")
        assert (of(commit, "error.type"), commit.status.status_code) == ("disk_full", StatusCode.ERROR)
