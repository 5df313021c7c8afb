"""A repository that came from a stranger, `.git` and all: nothing that it names is run, and nothing beside it is read.

Its configuration names a program in every place that git knows. Each would leave its name in a directory, which stays
empty after everything that Fleet does with the repository. What the user's own configuration names still runs.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from fleet.adapters.git import GitRemovals, GitTrees, GitWorkspaces
from fleet.errors import Problem, Rejected
from fleet.limits import TREE_FILE_BYTES_MAX
from fleet.ports import Strategy, WorkspaceSpec
from tests.adapters.git.world import git, make_template

WORKSPACE = "0198c0de-0000-7000-8000-000000000001"


class Stranger:
    """The repository, and what its programs left behind."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.traces = base / "traces"
        self.traces.mkdir()
        self.directory = make_template(base / "project")
        self.workspaces = GitWorkspaces(base / "fleet" / "workspaces", [base])
        self.removals = GitRemovals(self.workspaces)
        self.trees = GitTrees(base / "fleet" / "trees")

    def program(self, name: str) -> str:
        """Return a command that leaves a trace and otherwise does what a filter should."""
        return f"touch {self.traces}/{name}; cat"

    def config(self, key: str, value: str) -> None:
        git(self.directory, "config", key, value)

    def ran(self) -> list[str]:
        return sorted(path.name for path in self.traces.iterdir())

    async def life(self, strategy: Strategy) -> None:
        """Do all that Fleet does with a repository."""
        source = await self.workspaces.inspect(str(self.directory))
        directory, branch = self.workspaces.plan(WORKSPACE, strategy, source, None, "Work")
        spec = WorkspaceSpec(WORKSPACE, strategy, source.directory, directory, branch, None)
        await self.workspaces.check(spec, source)
        await self.workspaces.prepare(spec)
        before = await self.trees.take(WORKSPACE, directory)
        Path(directory, "README.md").write_text("changed\n")
        Path(directory, "new").write_text("new\n")
        assert await self.trees.diff(WORKSPACE, before, await self.trees.take(WORKSPACE, directory))
        if strategy == "existing":
            return
        with pytest.raises(Rejected, match="did not create"):
            await self.workspaces.discard(spec)
        kept = await self.removals.keep(spec)
        await self.removals.remove(spec, kept)
        await self.removals.restore(spec, kept)
        assert Path(directory, "README.md").read_text() == "changed\n"
        assert Path(directory, "new").read_text() == "new\n"


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stranger:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    return Stranger(tmp_path.resolve())


EVERY = pytest.mark.parametrize("strategy", ["existing", "worktree", "clone"])


@EVERY
async def test_hooks_do_not_run(stranger: Stranger, strategy: Strategy) -> None:
    hooks = stranger.directory / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-commit", "fsmonitor-watchman"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {stranger.traces}/{name}\n")
        (hooks / name).chmod(0o755)
    stranger.config("core.hooksPath", str(hooks))
    await stranger.life(strategy)
    assert stranger.ran() == []


@EVERY
@pytest.mark.parametrize("scope", ["local", "included", "worktree"])
async def test_filters_of_the_repository_do_not_run(stranger: Stranger, strategy: Strategy, scope: str) -> None:
    (stranger.directory / ".gitattributes").write_text("* filter=evil diff=evil merge=evil ident\n")
    git(stranger.directory, "add", ".")
    git(stranger.directory, "commit", "-q", "-m", "Attributes")
    settings = {
        "filter.evil.smudge": stranger.program("smudge"),
        "filter.evil.clean": stranger.program("clean"),
        "filter.evil.process": stranger.program("process"),
        "filter.evil.required": "true",
        "diff.evil.textconv": stranger.program("textconv"),
        "diff.evil.command": stranger.program("diff"),
        "merge.evil.driver": stranger.program("merge"),
        "diff.external": stranger.program("external"),
        "core.fsmonitor": stranger.program("fsmonitor"),
        "core.pager": stranger.program("pager"),
        "core.editor": stranger.program("editor"),
        "core.alternateRefsCommand": stranger.program("alternates"),
    }
    target: tuple[str, ...] = ("--local",)
    if scope == "included":
        stranger.config("include.path", "evil.config")
        target = ("--file", str(stranger.directory / ".git" / "evil.config"))
    elif scope == "worktree":
        stranger.config("extensions.worktreeConfig", "true")
        target = ("--worktree",)
    for key, value in settings.items():
        git(stranger.directory, "config", *target, key, value)
    await stranger.life(strategy)
    assert stranger.ran() == []


@pytest.mark.parametrize("condition", ["onbranch:fleet/**", "gitdir:**/worktrees/**"])
async def test_programs_that_only_a_new_checkout_would_see_do_not_run(stranger: Stranger, condition: str) -> None:
    (stranger.directory / ".gitattributes").write_text("* filter=evil\n")
    git(stranger.directory, "add", ".")
    git(stranger.directory, "commit", "-q", "-m", "Attributes")
    evil = stranger.directory / ".git" / "evil.config"
    git(stranger.directory, "config", "--file", str(evil), "filter.evil.smudge", stranger.program("smudge"))
    stranger.config(f"includeIf.{condition}.path", "evil.config")
    with pytest.raises(Problem, match="conditionally"):
        await stranger.life("worktree")
    await stranger.life("clone")
    await stranger.life("existing")
    assert stranger.ran() == []


@EVERY
async def test_those_of_the_user_do(stranger: Stranger, strategy: Strategy) -> None:
    """As large files (LFS) need it; a repository can add nothing to it, and take nothing away."""
    (stranger.directory / ".gitattributes").write_text("*.md filter=mine\n")
    git(stranger.directory, "add", ".")
    git(stranger.directory, "commit", "-q", "-m", "Attributes")
    user = ("config", "--file", str(stranger.base / "home" / ".gitconfig"))
    git(stranger.directory, *user, "filter.mine.smudge", stranger.program("mine"))
    stranger.config("filter.mine.smudge", stranger.program("evil"))
    await stranger.life(strategy)
    assert stranger.ran() == ([] if strategy == "existing" else ["mine"])


@EVERY
@pytest.mark.parametrize(
    "url", ["ext::sh -c 'touch {traces}/ext'", "ssh://host/x", "git://host/x", "{base}/project", "https://host/x"]
)
@pytest.mark.parametrize("missing", ["HEAD", "HEAD^{tree}", "HEAD:src/shop.py"])
async def test_missing_objects_are_not_fetched_by_programs_of_the_repository(
    stranger: Stranger, strategy: Strategy, url: str, missing: str
) -> None:
    """A partial clone asks its remote for what it lacks, in the middle of anything."""
    settings = {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": url.format(traces=stranger.traces, base=stranger.base),
        "remote.origin.uploadpack": f"touch {stranger.traces}/uploadpack; false",
        "remote.origin.receivepack": f"touch {stranger.traces}/receivepack; false",
        "core.sshCommand": f"touch {stranger.traces}/ssh; false",
        "core.gitProxy": str(_script(stranger, "proxy")),
        "core.askPass": str(_script(stranger, "askpass")),
        "credential.helper": f"!touch {stranger.traces}/credential; false",
        "protocol.allow": "always",
        "protocol.ext.allow": "always",
        "http.proxy": "http://127.0.0.1:1",
    }
    for key, value in settings.items():
        stranger.config(key, value)
    lost = git(stranger.directory, "rev-parse", missing)
    (stranger.directory / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    with suppress(Problem):  # the object is nowhere
        await stranger.life(strategy)
    assert stranger.ran() == []


def _script(stranger: Stranger, name: str) -> Path:
    script = stranger.base / f"{name}.sh"
    script.write_text(f"#!/bin/sh\ntouch {stranger.traces}/{name}\nexit 1\n")
    script.chmod(0o755)
    return script


@EVERY
async def test_submodules_are_left_alone(stranger: Stranger, strategy: Strategy) -> None:
    evil = f"ext::sh -c 'touch {stranger.traces}/submodule'"
    modules = f'[submodule "a"]\n\tpath = a\n\turl = {evil}\n'
    (stranger.directory / ".gitmodules").write_text(modules)
    git(stranger.directory, "add", ".gitmodules")
    commit = git(stranger.directory, "rev-parse", "HEAD")
    git(stranger.directory, "update-index", "--add", "--cacheinfo", f"160000,{commit},a")
    git(stranger.directory, "commit", "-q", "-m", "Submodule")
    for key, value in {"submodule.recurse": "true", "submodule.a.url": evil, "submodule.a.active": "true"}.items():
        stranger.config(key, value)
    stranger.config("submodule.a.update", f"!touch {stranger.traces}/update")
    await stranger.life(strategy)
    assert stranger.ran() == []


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("strategy", ["worktree", "clone"])
async def test_a_repository_inside_is_looked_at_without_its_programs(
    stranger: Stranger, strategy: Strategy, moved: bool
) -> None:
    """Also where its configuration can't be read in the ordinary way, because it names files that are not there."""
    source = await stranger.workspaces.inspect(str(stranger.directory))
    directory, branch = stranger.workspaces.plan(WORKSPACE, strategy, source, None, "Work")
    spec = WorkspaceSpec(WORKSPACE, strategy, source.directory, directory, branch, None)
    await stranger.workspaces.prepare(spec)
    inner = make_template(Path(directory, "inner"))
    (inner / ".gitattributes").write_text("* filter=evil\n")
    git(inner, "add", ".")
    git(inner, "commit", "-q", "-m", "Attributes")
    git(inner, "update-ref", "refs/remotes/origin/main", "HEAD")
    (inner / "README.md").write_text("changed\n")
    git(directory, "add", "inner")
    git(directory, "commit", "-q", "-m", "Inner")
    settings = {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": str(stranger.directory),
        "remote.origin.uploadpack": f"touch {stranger.traces}/uploadpack; false",
        "filter.evil.clean": stranger.program("clean"),
        "filter.evil.process": stranger.program("process"),
        "core.fsmonitor": stranger.program("fsmonitor"),
        **({"core.worktree": "../../nowhere"} if moved else {}),
    }
    for key, value in settings.items():
        git(inner, "config", "--file", str(inner / ".git" / "config"), key, value)
    blob = "a" * 40
    (inner / ".git" / "refs" / "heads" / "lost").write_text(f"{blob}\n")
    with pytest.raises(Problem):
        await stranger.removals.keep(spec)
    (inner / ".git" / "refs" / "heads" / "lost").unlink()
    with pytest.raises(Rejected, match="inner"):
        await stranger.removals.keep(spec)
    assert stranger.ran() == []


@pytest.mark.parametrize("how", ["worktree", "gitdir"])
async def test_a_repository_that_says_its_files_are_elsewhere(stranger: Stranger, how: str) -> None:
    """`core.worktree`, or a `.git` file: what is elsewhere is not taken for the session's files."""
    private = stranger.base / "private"
    private.mkdir()
    (private / "secret.txt").write_text("a secret\n")
    if how == "worktree":
        stranger.config("core.worktree", str(private))
    else:
        git(private, "init", "-q")
        git(private, "add", ".")
        git(private, "commit", "-q", "-m", "Private")
        (stranger.directory / ".git").rename(stranger.base / "was")
        (stranger.directory / ".git").write_text(f"gitdir: {private}/.git\n")
    workspaces = GitWorkspaces(stranger.base / "fleet" / "workspaces", [stranger.directory])
    source = await workspaces.inspect(str(stranger.directory))
    before = await stranger.trees.take(WORKSPACE, source.directory)
    (stranger.directory / "README.md").write_text("changed\n")
    (private / "secret.txt").write_text("another secret\n")
    changes = await stranger.trees.diff(WORKSPACE, before, await stranger.trees.take(WORKSPACE, source.directory))
    assert [change.file for change in changes] == ["README.md"]
    for strategy in ("worktree", "clone"):
        directory, branch = workspaces.plan(WORKSPACE, strategy, source, None, "Work")
        spec = WorkspaceSpec(WORKSPACE, strategy, source.directory, directory, branch, None)
        if how == "gitdir":
            with pytest.raises(Rejected) as refused:
                await workspaces.check(spec, source)
            assert refused.value.code == "directory_outside_roots"


@EVERY
async def test_links_lead_nowhere(stranger: Stranger, strategy: Strategy) -> None:
    (stranger.base / "secret.txt").write_text("a secret\n")
    (stranger.directory / "link").symlink_to(stranger.base / "secret.txt")
    (stranger.directory / "up").symlink_to("..")
    git(stranger.directory, "add", ".")
    git(stranger.directory, "commit", "-q", "-m", "Links")
    await stranger.life(strategy)
    source = await stranger.workspaces.inspect(str(stranger.directory))
    directory, _ = stranger.workspaces.plan(WORKSPACE, strategy, source, None, "Work")
    before = await stranger.trees.take(WORKSPACE, directory)
    Path(directory, "link").unlink()
    (change,) = await stranger.trees.diff(WORKSPACE, before, await stranger.trees.take(WORKSPACE, directory))
    assert "a secret" not in str(change)


@pytest.mark.parametrize("strategy", ["worktree", "clone"])
async def test_pipes_and_devices_in_the_place_of_files_hold_nothing_up(stranger: Stranger, strategy: Strategy) -> None:
    os.mkfifo(stranger.base / "pipe")
    (stranger.directory / ".gitattributes").write_text("*.bin filter=lfs\n")
    (stranger.directory / "a.bin").symlink_to(stranger.base / "pipe")
    git(stranger.directory, "add", ".")
    git(stranger.directory, "commit", "-q", "-m", "A pipe")
    exclude = stranger.directory / ".git" / "info" / "exclude"
    exclude.unlink()
    exclude.symlink_to("/dev/zero")
    await stranger.life(strategy)


@pytest.mark.parametrize("target", ["pipe", "/dev/zero"])
async def test_an_agent_that_replaces_the_link_of_its_worktree_holds_nothing_up(
    stranger: Stranger, target: str
) -> None:
    os.mkfifo(stranger.base / "pipe")
    source = await stranger.workspaces.inspect(str(stranger.directory))
    directory, branch = stranger.workspaces.plan(WORKSPACE, "worktree", source, None, "Work")
    spec = WorkspaceSpec(WORKSPACE, "worktree", source.directory, directory, branch, None)
    await stranger.workspaces.prepare(spec)
    Path(directory, ".git").unlink()
    Path(directory, ".git").symlink_to(stranger.base / target)
    assert await stranger.workspaces.fault(spec) == "missing"
    Path(directory, ".git").unlink()
    for text in (b"", b"gitdir: " + b"x" * 5000, b"gitdir: \0", b"\xff"):
        Path(directory, ".git").write_bytes(text)
        assert await stranger.workspaces.fault(spec) == "cut_off"


async def test_a_huge_file_is_left_out_of_snapshots(stranger: Stranger) -> None:
    before = await stranger.trees.take(WORKSPACE, str(stranger.directory))
    with (stranger.directory / "huge").open("wb") as huge:
        huge.truncate(TREE_FILE_BYTES_MAX + 1)
    os.mkfifo(stranger.directory / "pipe")
    (stranger.directory / "small").write_text("small\n")
    after = await stranger.trees.take(WORKSPACE, str(stranger.directory))
    assert [change.file for change in await stranger.trees.diff(WORKSPACE, before, after)] == ["small"]


@pytest.mark.parametrize("secret", ["https://me:pass-word@host.invalid/x", "https://tok-en@host.invalid/x"])
async def test_a_password_in_an_address_is_not_shown(stranger: Stranger, secret: str) -> None:
    settings = {"core.repositoryFormatVersion": "1", "extensions.partialClone": "origin"}
    for key, value in {**settings, "remote.origin.promisor": "true", "remote.origin.url": secret}.items():
        stranger.config(key, value)
    blob = git(stranger.directory, "rev-parse", "HEAD:src/shop.py")
    (stranger.directory / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(Problem) as failed:
        await stranger.life("worktree")
    assert "host.invalid" in failed.value.detail
    assert "pass-word" not in failed.value.detail
    assert "tok-en" not in failed.value.detail


@pytest.mark.parametrize(
    "ref",
    [
        "--upload-pack=touch {t}/x",
        "-c",
        "--exec=touch {t}/x",
        "--output={t}/x",
        "HEAD --output={t}/x",
        "@{{-1}}",
        ":/x",
    ],
)
@pytest.mark.parametrize("field", ["branch", "base_ref"])
async def test_names_that_people_choose_are_no_options(stranger: Stranger, field: str, ref: str) -> None:
    source = await stranger.workspaces.inspect(str(stranger.directory))
    text = ref.format(t=stranger.traces)
    for strategy in ("worktree", "clone"):
        directory, branch = stranger.workspaces.plan(WORKSPACE, strategy, source, None, "Work")
        given = {"branch": branch, "base_ref": None, field: text}
        spec = WorkspaceSpec(WORKSPACE, strategy, source.directory, directory, given["branch"], given["base_ref"])
        with pytest.raises(Rejected) as refused:
            await stranger.workspaces.check(spec, source)
        assert refused.value.code in ("branch_invalid", "base_ref_unknown")
        with pytest.raises(Rejected):
            await stranger.workspaces.prepare(spec)
    assert stranger.ran() == []
    assert not Path(directory).exists()


async def test_a_directory_whose_name_is_an_option(stranger: Stranger) -> None:
    odd = stranger.base / "--upload-pack=touch traces"
    shutil.copytree(stranger.directory, odd)
    stranger.directory = odd
    for strategy in ("existing", "worktree"):
        await stranger.life(strategy)
    assert stranger.ran() == []
