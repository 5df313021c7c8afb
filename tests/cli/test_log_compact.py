"""`fleet log compact` on a stopped data directory, and `fleet log retention` on a server."""

import json
from pathlib import Path

import trio

from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from tests.cli.terminal import fleet as connected
from tests.cli.test_app import fleet
from tests.client.line import Line
from tests.events.samples import Opened, sample_registry
from tests.fakes.clock import FakeClock


def test_compaction_prints_the_new_size_of_each_file(tmp_path: Path) -> None:
    async def fill() -> None:
        with LmdbLog.open(tmp_path, sample_registry(), FakeClock()) as log:
            async with trio.open_nursery() as nursery:
                await nursery.start(log.run)
                await log.append("a", 0, [Opened("forbidden " * 1000)], Cause())
                await log.erase("a")
                log.stop()

    trio.run(fill)
    done = fleet("log", "compact", "--json", "--data-dir", str(tmp_path))
    found = json.loads(done.stdout)
    assert (done.returncode, [file["name"] for file in found["files"]]) == (0, ["events.mdb"])
    assert found["freedBytes"] == found["files"][0]["beforeBytes"] - found["files"][0]["afterBytes"]
    assert "bytes were freed" in fleet("log", "compact", "--data-dir", str(tmp_path)).stdout


async def test_server_without_a_rule_says_that_it_keeps_transcripts(line: Line) -> None:
    done = await connected(line, "log", "retention")
    assert (done.code, "without a limit" in done.out) == (0, True)
