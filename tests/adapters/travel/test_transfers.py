"""Transfers to a host that stop in the middle, thin ones, and what never travels."""

import os
import re
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from fleet.adapters.git import GitWorkspaces, packs
from fleet.errors import Problem, Rejected, Unavailable
from fleet.ports import PreparedWorkspace, PreservedWork, Strategy, WorkspaceSpec
from tests.adapters.travel.world import TravelWorld, git, refs
from tests.contracts.removals_contract import made
from tests.contracts.workspaces_contract import MAKING, new_spec

# ----------------------------------------------------------------------------------------------------------- transfers


async def test_a_repository_that_grew_sends_only_what_is_new(world: TravelWorld) -> None:
    repository = world.repository("shop")
    Path(repository, "large").write_bytes(os.urandom(200_000))
    git(repository, "add", "large")
    git(repository, "commit", "-q", "-m", "Large")
    await world.workspaces.prepare(await new_spec(world, repository, "worktree"))
    assert world.transfer.sent_bytes > 200_000
    world.transfer.sent_bytes = 0
    await world.workspaces.prepare(await new_spec(world, repository, "worktree", number=2))
    assert world.transfer.sent_bytes == 0
    Path(repository, "more").write_text("more\n")
    git(repository, "add", "more")
    git(repository, "commit", "-q", "-m", "More")
    prepared = await world.workspaces.prepare(await new_spec(world, repository, "clone", number=3))
    assert prepared.head == world.head(repository)
    assert 0 < world.transfer.sent_bytes < 1_000
    git(str(world.first.mirror()), "fsck", "--strict")


@pytest.mark.parametrize(
    "faults",
    [["put"], ["put, no answer"], ["receive"], ["receive, no answer"], ["put", "put, no answer", "receive, no answer"]],
)
async def test_an_interrupted_transfer_can_be_repeated(world: TravelWorld, faults: list[str]) -> None:
    spec = await new_spec(world, world.repository("shop"), "worktree")
    world.transfer.faults = faults[:]
    for _ in faults:
        with pytest.raises(Unavailable):
            await world.workspaces.prepare(spec)
    prepared = await world.workspaces.prepare(spec)
    assert prepared.head == world.head(spec.source_directory)
    assert not [*Path(world.first.root, "parcels").iterdir(), *Path(world.base, "fleet", "parcels").iterdir()]


async def test_a_repository_with_many_refs_has_the_same_ones_on_the_host(world: TravelWorld) -> None:
    repository = world.repository("shop")
    names = [f"refs/tags/v{number}" for number in range(150)] + ["refs/heads/a-b", "refs/heads/a/b", "refs/heads/ü"]
    packed = "".join(f"{world.head(repository)} {name}\n" for name in sorted(names))
    Path(repository, ".git", "packed-refs").write_text(packed)
    spec = await made_from(world, repository)
    there = refs(str(world.first.mirror()), "refs")
    assert {name: there[name] for name in names} == {name: world.head(repository) for name in names}
    git(repository, "tag", "-d", "v1", "v2")
    git(repository, "branch", "-D", "a/b")
    git(repository, "branch", "a/b/c")
    await world.workspaces.prepare(spec)
    there = refs(str(world.first.mirror()), "refs")
    assert {"refs/tags/v1", "refs/tags/v2", "refs/heads/a/b"}.isdisjoint(there)
    assert "refs/heads/a/b/c" in there


@pytest.mark.parametrize("fault", ["damaged piece", "twice"])
async def test_a_damaged_or_doubled_piece_changes_nothing(world: TravelWorld, fault: str) -> None:
    spec = await new_spec(world, world.repository("shop"), "worktree")
    world.transfer.faults = [fault]
    assert (await world.workspaces.prepare(spec)).head == world.head(spec.source_directory)
    git(str(world.first.mirror()), "fsck", "--strict")


@pytest.mark.parametrize("fault", [None, "put", "damaged piece", "older agent"])
async def test_first_pieces_are_sent_while_git_makes_the_last_ones(
    world: TravelWorld, monkeypatch: pytest.MonkeyPatch, fault: str | None
) -> None:
    monkeypatch.setattr("fleet.adapters.git.parcels.PARCEL_PIECE_BYTES", 10_000)
    monkeypatch.setattr("fleet.adapters.travel.courier.PARCEL_PIECE_BYTES", 10_000)
    pack = packs.pack

    async def in_two_steps(
        objects: packs.Objects,
        directory: Path,
        wanted: tuple[str, ...],
        had: tuple[str, ...],
        meanwhile: packs.Meanwhile | None,
    ) -> packs.NewParcel | None:
        made, growing, complete = await pack(objects, directory, wanted, had), directory / "growing", trio.Event()
        if meanwhile is None:
            return made
        assert made is not None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(meanwhile, growing, complete)
            growing.write_bytes(made.file.read_bytes()[:25_000])
            while world.transfer.sent_bytes < (20_000 if fault != "put" else 10_000):  # noqa: ASYNC110 - a count
                await trio.sleep(0.001)
            made.file.rename(growing)
            complete.set()
        return made._replace(file=growing)

    monkeypatch.setattr(packs, "pack", in_two_steps)
    repository = world.repository("shop")
    Path(repository, "large").write_bytes(os.urandom(35_000))
    git(repository, "add", "large")
    git(repository, "commit", "-q", "-m", "Large")
    world.transfer.faults = [] if fault is None else [fault]
    prepared = await world.workspaces.prepare(await new_spec(world, repository, "worktree"))
    assert prepared.head == world.head(repository)
    assert world.transfer.unpacked_early == (fault is None)
    git(str(world.first.mirror()), "fsck", "--strict")
    left = [*Path(world.first.root, "parcels").iterdir(), *Path(world.base, "fleet", "parcels").iterdir()]
    assert len(left) == (fault == "older agent"), "it deletes a parcel that it does not know a day later"


async def test_work_larger_than_a_piece_comes_back_whole(world: TravelWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("fleet.adapters.travel.courier", "fleet.adapters.git.parcels"):
        monkeypatch.setattr(f"{module}.PARCEL_PIECE_BYTES", 10_000)
    spec = await made(world, "worktree")
    Path(spec.directory, "large").write_bytes(os.urandom(35_000))
    world.transfer.faults = ["read"]
    with pytest.raises(Unavailable):
        await world.removals.keep(spec)
    kept = await world.removals.keep(spec)
    assert git(spec.source_directory, "cat-file", "-s", f"{kept.commit}:large") == "35000"


async def test_objects_that_the_server_has_lost_are_sent_again(world: TravelWorld) -> None:
    repository = world.repository("shop")
    commit = world.commit(repository)
    spec = await new_spec(world, repository, "worktree")
    await world.workspaces.prepare(spec)
    git(repository, "checkout", "-q", "--detach", "HEAD~1")
    git(repository, "branch", "-f", "main")
    git(repository, "update-ref", "-d", f"refs/heads/{spec.branch}")
    for ref in refs(repository, "refs/fleet"):
        git(repository, "update-ref", "-d", ref)
    git(repository, "reflog", "expire", "--expire=now", "--all")
    git(repository, "gc", "-q", "--prune=now")
    Path(spec.directory, "new").write_text("x\n")
    kept = await world.removals.keep(spec)
    assert world.reaches(repository, str(kept.ref), commit)


async def test_a_shallow_repository_can_travel(world: TravelWorld) -> None:
    full = world.repository("full")
    for _ in range(3):
        world.commit(full)
    git(world.base, "clone", "-q", "--depth=2", f"file://{full}", world.path("shop"))
    spec = await made_from(world, world.path("shop"))
    assert git(spec.directory, "rev-list", "--count", "HEAD") == "2"
    commit = world.commit(spec.directory)
    kept = await world.removals.keep(spec)
    assert world.reaches(spec.source_directory, f"refs/heads/{spec.branch}", commit)
    _, directory = await world.moved(spec, kept)
    assert world.head(directory) == commit


async def made_from(world: TravelWorld, repository: str, strategy: Strategy = "worktree") -> WorkspaceSpec:
    spec = await new_spec(world, repository, strategy)
    await world.workspaces.prepare(spec)
    return spec


async def test_a_host_can_fetch_from_the_origin_first(world: TravelWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    repository, origin = world.repository("shop"), world.repository("origin")
    monkeypatch.setattr("fleet.adapters.git.mirror_offers._REMOTE", re.compile(".+"))
    git(repository, "remote", "add", "origin", origin)
    world.repositories = "origin"
    world.restart()
    spec = await made_from(world, repository)
    assert world.transfer.sent_bytes == 0
    git(repository, "remote", "set-url", "origin", world.path("missing"))
    commit = world.commit(repository)
    await world.workspaces.prepare(await new_spec(world, repository, "worktree", number=2))
    assert git(spec.directory, "rev-parse", "main") == commit


# ------------------------------------------------------------------------------------------------- what does not travel


@pytest.mark.parametrize("strategy", MAKING)
async def test_no_secret_and_no_program_reaches_a_host(world: TravelWorld, strategy: Strategy) -> None:
    repository = world.repository("shop")
    hook = Path(repository, ".git", "hooks", "pre-commit")
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    Path(repository, ".worktreeinclude").write_text("*.log\n")
    Path(repository, "secret.log").write_text("hunter2\n")
    Path(repository, ".git", "info", "exclude").write_text("built\n")
    for key, value in (
        ("remote.origin.url", "https://me:hunter2@example.org/shop.git"),
        ("remote.up.url", "ssh://git:hunter2@example.org/shop.git"),
        ("url.https://hunter2@example.org/.insteadOf", "x:"),
        ("filter.odd.clean", "hunter2"),
        ("core.sshCommand", "hunter2"),
        ("user.name", "Me"),
        ("user.email", "me@example.org"),
        ("commit.gpgsign", "true"),
    ):
        git(repository, "config", key, value)
    spec = await new_spec(world, repository, strategy)
    left = {each.what: each.detail for each in (await world.workspaces.prepare(spec)).not_carried}
    assert set(left) == {"hooks", "filters", "config", "files"}
    assert "secret.log" in left["files"]
    found = [path for path in world.first.root.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    assert found == []
    assert git(spec.directory, "config", "remote.origin.url") == "https://example.org/shop.git"
    assert git(spec.directory, "config", "remote.up.url") == "ssh://git@example.org/shop.git"
    assert git(spec.directory, "config", "user.email") == "me@example.org"
    if strategy == "worktree":
        Path(spec.directory, "built").write_text("x\n")
        assert git(spec.directory, "status", "--porcelain") == ""


async def test_a_host_moves_no_ref_that_is_not_its_own(world: TravelWorld) -> None:
    spec = await made(world, "worktree")
    source, other = spec.source_directory, "01936f2e-0000-7000-8000-0000000000ff"
    git(source, "branch", "work")
    git(source, "checkout", "-q", "work")
    newest, old = world.commit(source), refs(source, "refs/heads/main")["refs/heads/main"]
    git(source, "checkout", "-q", "--detach")
    git(source, "update-ref", f"refs/fleet/kept/{other}", newest)
    before = refs(source, "refs")
    world.transfer.extra_refs = {
        "refs/heads/work": old,
        f"refs/fleet/kept/{other}": old,
        "refs/remotes/origin/main": old,
        "refs/fleet/anchors": old,
        "HEAD": old,
    }
    await world.removals.keep(spec)
    after = refs(source, "refs")
    assert {name: at for name, at in after.items() if not name.startswith("refs/fleet/hosts/")} == {
        name: at for name, at in before.items() if not name.startswith("refs/fleet/hosts/")
    }
    for name, at in (
        ("refs/heads/x y", old),
        ("refs/heads/x\ndelete refs/heads/work", old),
        ("refs/heads/x", "--help"),
    ):
        world.transfer.extra_refs = {name: at}
        with pytest.raises(Problem):
            await world.removals.keep(spec)
    assert refs(source, "refs") == after


async def test_submodules_are_reported_and_nested_work_is_refused(world: TravelWorld) -> None:
    outer, inner = world.repository("shop"), world.repository("inner")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner, "lib")
    git(outer, "commit", "-q", "-m", "Lib")
    spec = await new_spec(world, outer, "worktree")
    (left,) = (await world.workspaces.prepare(spec)).not_carried
    assert left.what == "submodules"
    nested = Path(spec.directory, "nested")
    nested.mkdir()
    git(nested, "init", "-q")
    git(nested, "commit", "-q", "--allow-empty", "-m", "Work")
    with pytest.raises(Rejected) as caught:
        await world.removals.keep(spec)
    assert caught.value.code == "workspace_dirty"


async def test_a_session_in_a_subdirectory_starts_there_on_the_host(world: TravelWorld) -> None:
    repository = world.repository("shop")
    prepared = await world.workspaces.prepare(await new_spec(world, f"{repository}/src", "worktree"))
    assert prepared.directory.endswith("/shop/src")
    Path(repository, "fresh").mkdir()
    prepared = await world.workspaces.prepare(await new_spec(world, f"{repository}/fresh", "worktree", number=2))
    assert (prepared.directory.endswith("/shop"), prepared.not_carried[0].what) == (True, "directory")


async def test_a_moved_repository_keeps_its_worktrees_on_the_host(world: TravelWorld) -> None:
    spec = await made(world, "worktree")
    Path(spec.source_directory).rename(world.path("moved"))
    with pytest.raises(Problem) as caught:
        await world.removals.keep(spec)
    assert caught.value.code == "directory_missing"
    spec = replace(spec, source_directory=world.path("moved"))
    await world.workspaces.require_related(spec, None)
    await world.workspaces.relink(spec)
    world.write(spec.directory, "work")
    assert (await world.removals.keep(spec)).ref is not None
    assert world.is_kept(spec.source_directory, spec.workspace_id)


# ----------------------------------------------------------------------------------------------------- what goes again


async def test_an_unused_mirror_is_deleted_and_made_again(world: TravelWorld) -> None:
    repository = world.repository("shop")
    specs = [await new_spec(world, repository, kind, number=number) for number, kind in enumerate(MAKING, 1)]
    for spec in specs:
        await world.workspaces.prepare(spec)
    mirror = world.first.mirror()
    kept: PreservedWork | None = None
    for spec in specs:
        await tidied_long_after(world, mirror)
        assert mirror.exists(), "a workspace needs it"
        kept = await world.removals.keep(spec)
        await world.removals.remove(spec, kept)
    await world.transfer.tidy()
    assert mirror.exists(), "it was needed just now"
    await tidied_long_after(world, mirror)
    assert not [*mirror.parent.iterdir()]
    assert kept is not None
    await world.removals.restore(specs[-1], kept)
    assert world.first.mirror() == mirror


async def test_trees_on_the_host_go_when_its_workspace_has_gone_and_come_again(world: TravelWorld) -> None:
    spec = await new_spec(world, world.repository("shop"), "worktree")
    prepared = await world.workspaces.prepare(spec)
    tree = await world.trees.take(spec.workspace_id, prepared.directory)
    store = world.first.root / "trees" / spec.workspace_id
    await world.transfer.tidy()
    assert store.exists()
    kept = await world.removals.keep(spec)
    await world.removals.remove(spec, kept)
    await world.transfer.tidy()
    assert not store.exists()
    await world.removals.restore(spec, kept)
    assert await world.trees.compare(spec.workspace_id, tree, prepared.directory) == ()


async def tidied_long_after(world: TravelWorld, mirror: Path) -> None:
    os.utime(mirror / "fleet-workspaces", (0, 0))
    await world.transfer.tidy()


async def test_branch_deleted_on_the_server_is_deleted_by_the_next_transfer(world: TravelWorld) -> None:
    repository = world.repository("shop")
    for name in ("gone", "used", "moved"):
        git(repository, "branch", name)
    spec = replace(await new_spec(world, repository, "worktree"), branch="used", base_ref=None)
    prepared = await world.workspaces.prepare(spec)
    git(str(world.first.mirror()), "update-ref", "refs/heads/moved", made_commit(prepared.directory))
    git(repository, "branch", "-D", "gone", "moved")
    await world.workspaces.prepare(await new_spec(world, repository, "worktree", number=2))
    there = refs(str(world.first.mirror()), "refs/heads")
    assert "refs/heads/gone" not in there
    assert {"refs/heads/used", "refs/heads/moved"} <= there.keys(), "the host has work of its own there"


def made_commit(directory: str) -> str:
    git(directory, "commit", "-q", "--allow-empty", "-m", "On the host")
    return git(directory, "rev-parse", "HEAD").strip()


async def test_locks_of_a_git_that_was_killed_on_the_host_do_not_stop_later_transfers(world: TravelWorld) -> None:
    repository = world.repository("shop")
    await world.workspaces.prepare(await new_spec(world, repository, "worktree"))
    mirror, branch = world.first.mirror(), git(repository, "symbolic-ref", "HEAD").strip()
    for name in (f"{branch}.lock", "packed-refs.lock", "HEAD.lock"):
        (mirror / name).touch()
        os.utime(mirror / name, (0, 0))
    git(repository, "commit", "-q", "--allow-empty", "-m", "More")
    await world.workspaces.prepare(await new_spec(world, repository, "worktree", number=2))
    assert refs(str(mirror), branch) == {branch: world.head(repository)}


# ----------------------------------------------------------------------------------------------------- hosts that lie


async def test_parcel_that_is_larger_than_the_disk_of_the_server_is_refused(world: TravelWorld) -> None:
    spec = await new_spec(world, world.repository("shop"), "worktree")
    prepared = await world.workspaces.prepare(spec)
    Path(prepared.directory, "new.txt").write_text("new\n")
    world.transfer.announced_bytes = 1 << 60
    with pytest.raises(Unavailable, match="bytes are free") as refused:
        await world.removals.keep(spec)
    assert refused.value.code == "disk_full"
    world.transfer.announced_bytes = 10  # and sends more than that
    with pytest.raises(Problem, match="could not be moved"):
        await world.removals.keep(spec)
    assert not [*Path(world.base, "fleet", "parcels").iterdir()]


@pytest.mark.parametrize("directory", ["/etc", "{own}/../other", "{own}-2/shop"])
async def test_workspace_of_a_host_is_in_its_own_directory(
    world: TravelWorld, monkeypatch: pytest.MonkeyPatch, directory: str
) -> None:
    honest = GitWorkspaces.prepare

    async def prepare(self: GitWorkspaces, spec: WorkspaceSpec) -> PreparedWorkspace:
        return replace(await honest(self, spec), directory=directory.format(own=spec.directory))

    monkeypatch.setattr(GitWorkspaces, "prepare", prepare)
    with pytest.raises(Problem, match="which is not its own"):
        await world.workspaces.prepare(await new_spec(world, world.repository("shop"), "worktree"))
