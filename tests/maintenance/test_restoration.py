"""A restored data directory: its instances are recorded as lost, and its original keeps what it has."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import trio
from typer.testing import CliRunner

from fleet.adapters.clock import SystemClock
from fleet.cli.app import command_line
from fleet.core.instance.events import InstanceRequested, InstanceStopRequested, SessionAttached
from fleet.core.workspace.events import WorkspaceReady, WorkspaceRequested
from fleet.errors import StartupError
from fleet.events.catalog import make_registry
from fleet.events.directory_identity import FILE as IDENTITY
from fleet.events.directory_identity import read_identity, require_home, write_identity
from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.maintenance.restoration import restore_in_place
from fleet.ports import PreparedWorkspace, ProcessIdentity, WorkspaceSpec
from fleet.projections.lives import lives
from tests.cli.test_ps import started, stopped, write_log

LIVE = ProcessIdentity(1, 1.0, "this boot")


def fleet_at(root: Path) -> Path:
    """Leave a data directory in which instances of every kind have not ended."""
    starting: list[Any] = [
        InstanceRequested(instance_id="starting", key="key", directory="/work", at_ms=1),
        SessionAttached(session_id="a-session", directory="/work", at_ms=1),
    ]
    stopping = [*started("stopping", LIVE), InstanceStopRequested(reason="unused", at_ms=2)]
    write_log(root, ready=started("ready", LIVE), starting=starting, stopping=stopping, over=stopped("over"))
    data = root / "data"
    write_identity(data, "an-id")
    (data / "instances" / "ready").mkdir(parents=True)
    (data / "instances" / "ready" / "password").write_text("secret")
    return data


def test_a_copy_becomes_a_fleet_of_its_own_and_the_original_stays_as_it_is(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    original, copy = fleet_at(root), root / "copy"
    shutil.copytree(original, copy)
    before = (original / "events.mdb").read_bytes()
    done = trio.run(restore_in_place, copy)
    assert (done.directory, done.origin, done.lost) == (str(copy), str(original), 3)
    require_home(copy)
    identity = read_identity(copy)
    assert identity is not None
    assert identity.id == done.id != "an-id"
    with LmdbLog.open(copy, make_registry(), SystemClock()) as log:
        found = {life.state.id: life.state for life in lives(log)}
    assert not any(state.keeps_processes for state in found.values())
    assert (found["ready"].phase, found["ready"].sessions) == ("lost", {"a-session": "/work/project"})
    assert f"restored from a copy of {original}" in found["ready"].evidence
    assert not list((copy / "instances").glob("*"))
    assert (original / "events.mdb").read_bytes() == before
    assert (original / "instances" / "ready" / "password").exists()


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """A data directory with a worktree, a directory that was given, and one that never moves."""
    data = fleet_at(tmp_path.resolve())
    place = f"{data}/workspaces/tree"
    spec = WorkspaceSpec("tree", "worktree", "/srv/old/shop", place)
    prepared = PreparedWorkspace(place, "/srv/old/shop/.git", "main", "c0ffee")
    given = WorkspaceSpec("given", "existing", "/srv/old/shop", "/srv/old/shop")
    other = WorkspaceSpec("other", "existing", "/srv/older", "/srv/older")

    async def write() -> None:
        with LmdbLog.open(data, make_registry(), SystemClock()) as log:
            async with trio.open_nursery() as nursery:
                await nursery.start(log.run)
                ready = [WorkspaceRequested(spec=spec, at_ms=1), WorkspaceReady(prepared=prepared, at_ms=2)]
                await log.append("workspace-tree", 0, ready, Cause())
                await log.append("workspace-given", 0, [WorkspaceRequested(spec=given, at_ms=1)], Cause())
                await log.append("workspace-other", 0, [WorkspaceRequested(spec=other, at_ms=1)], Cause())
                log.stop()

    trio.run(write)
    return data


async def test_workspaces_follow_the_data_directory_and_what_was_moved(original: Path) -> None:
    root = original.parent
    shutil.copytree(original, root / "copy")
    done = await restore_in_place(root / "copy", [("/srv/old", "/srv/new")])
    assert done.relocated == 2
    with LmdbLog.open(root / "copy", make_registry(), SystemClock()) as log:
        [*_, tree, _missing] = log.replay("workspace-tree")
        [*_, given] = log.replay("workspace-given")
        assert log.stream_version("workspace-other") == 1
    moved = WorkspaceSpec("tree", "worktree", "/srv/new/shop", f"{root}/copy/workspaces/tree")
    assert (tree[2].spec, tree[2].prepared.directory) == (moved, moved.directory)
    assert tree[2].prepared.repository == "/srv/new/shop/.git"
    assert given[2].spec == WorkspaceSpec("given", "existing", "/srv/new/shop", "/srv/new/shop")


def test_workspaces_without_a_directory_are_named(original: Path) -> None:
    gone, there = original.parent / "gone", original.parent / "there"
    for copy in (gone, there):
        shutil.copytree(original, copy)
    (there / "workspaces/tree").mkdir(parents=True)
    told = {
        copy: CliRunner().invoke(command_line(), ["restore", "--in-place", str(copy)]).stdout for copy in (gone, there)
    }
    assert f"1 workspace has no directory here:\n  tree  worktree  {gone}/workspaces/tree\n" in told[gone]
    assert "fleet workspaces restore ID" in told[gone]
    assert "no directory" not in told[there]
    with LmdbLog.open(gone, make_registry(), SystemClock()) as log:
        [*_, (_, _, looked_at)] = log.replay("workspace-tree")
    assert looked_at.fault == "missing"


def test_a_directory_at_home_is_not_restored(tmp_path: Path) -> None:
    data = fleet_at(tmp_path)
    with pytest.raises(StartupError, match="is where its Fleet lives"):
        trio.run(restore_in_place, data)
    (data / IDENTITY).unlink()
    with pytest.raises(StartupError, match="has no identity"):
        trio.run(restore_in_place, data)
    with pytest.raises(StartupError, match="is not the data directory of a Fleet"):
        trio.run(restore_in_place, tmp_path)


def test_a_copy_that_shares_files_with_its_original_is_not_restored(tmp_path: Path) -> None:
    original = fleet_at(tmp_path.resolve())
    before = (original / "events.mdb").read_bytes()
    shutil.copytree(original, tmp_path / "hard", copy_function=os.link)
    shutil.copytree(original, tmp_path / "soft")
    shutil.rmtree(tmp_path / "soft" / "instances")
    (tmp_path / "soft" / "instances").symlink_to(original / "instances")
    for copy in ("hard", "soft"):
        with pytest.raises(StartupError, match="is a link"):
            trio.run(restore_in_place, tmp_path / copy)
    assert (original / "events.mdb").read_bytes() == before
    assert (original / "instances" / "ready" / "password").exists()
