"""Heads of the log that were stored elsewhere find a log that was changed since."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from fleet.adapters.git.anchors import commit_anchor
from fleet.errors import Problem
from fleet.events.anchors import Anchors, anchor_line, append_anchor, find_foreign, read_anchors
from fleet.events.envelope import Cause
from fleet.events.signing import SigningKey
from fleet.limits import ANCHOR_INTERVAL_S
from fleet.wire.audit import SignedHead
from tests.events.samples import Counted, sample_registry
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import KEY, MemoryDisk, MemoryLog


def heads_in(file: Path) -> list[SignedHead]:
    with file.open("rb") as lines:
        return read_anchors(lines)


async def inline(write: Callable[[], None]) -> None:
    write()


async def append(log: MemoryLog) -> None:
    version = log.stream_version("a")
    await log.append("a", version, [Counted(version)], Cause())


async def test_heads_are_appended_at_intervals_and_at_the_stop(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    log, stopping, file = MemoryLog(MemoryDisk(), sample_registry(), FakeClock()), trio.Event(), tmp_path / "anchors"
    async with trio.open_nursery() as nursery:
        await nursery.start(Anchors(log, file, inline).run, stopping)
        await trio.sleep(ANCHOR_INTERVAL_S + 1)
        assert not file.exists()  # the log is empty
        for _ in range(2):
            await append(log)
            await trio.sleep(ANCHOR_INTERVAL_S * 2)
        file.rename(tmp_path / "moved")
        file.mkdir()
        await append(log)
        await trio.sleep(ANCHOR_INTERVAL_S)
        file.rmdir()
        (tmp_path / "moved").rename(file)
        stopping.set()
    assert [head.position for head in heads_in(file)] == [1, 2, 3]
    assert find_foreign(heads_in(file), KEY.public) is None
    assert "anchor_not_written" in capsys.readouterr().out


def test_an_anchor_that_is_not_of_the_log_s_key_is_found(tmp_path: Path) -> None:
    file = tmp_path / "anchors"
    key = SigningKey(bytes(32))
    for position in (7, 9):
        append_anchor(file, key.sign(position, bytes(32), 0))
    foreign = find_foreign(heads_in(file), KEY.public)
    assert foreign is not None
    assert (foreign.position, "another key" in foreign.reason) == (7, True)
    file.write_bytes(file.read_bytes().replace(b'"position":9', b'"position":8'))
    foreign = find_foreign(heads_in(file), key.public)
    assert foreign is not None
    assert (foreign.position, "signature" in foreign.reason) == (8, True)


def test_a_line_that_is_no_anchor_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="line 2 is not a signed head"):
        read_anchors([b"\n", b"{}\n"])


async def test_anchors_are_committed_to_a_ref_of_git(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True, text=True
        ).stdout

    with pytest.raises(Problem):
        await commit_anchor(str(tmp_path), 1, b"")
    git("init", "-q")
    heads = [KEY.sign(position, bytes(32), 0) for position in (3, 5)]
    for head in heads:
        await commit_anchor(str(tmp_path), head.position, anchor_line(head))
    assert git("log", "--format=%s", "refs/fleet/anchors").split("\n")[:2] == ["Event 5", "Event 3"]
    shown = git("show", "refs/fleet/anchors:anchors.jsonl").encode().splitlines()
    assert [msgspec.json.decode(line, type=SignedHead) for line in shown] == heads
    assert git("status", "--short") == ""
