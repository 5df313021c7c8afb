"""Workspaces of a simulated run: a table of repositories instead of git, on a disk that survives a crash.

`FakeDisk` is what a crash leaves; `FakeWorkspaces` is the adapter on it, made again by each start. `prepare` writes in
two steps with a pause between, so that a crash or a cancel there leaves a half-made checkout for checkers and `pending`
to find. It refuses what adapters/git refuses, by the same contract suite (tests/contracts/workspaces_contract.py).
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import trio

from fleet.core.paths import directory_name, is_inside, slug
from fleet.errors import Rejected
from fleet.ports import Branch, Condition, Fault, NotCarried, PreparedWorkspace, Source, Strategy, WorkspaceSpec


@dataclass
class FakeRepository:
    """A repository: branches and other names of commits; `head` is a branch (which may have no commit) or a commit.

    `not_carried` is what a workspace made of it does not have.
    """

    top: str
    branches: dict[str, str] = field(default_factory=dict[str, str])
    names: dict[str, str] = field(default_factory=dict[str, str])
    head: str = "main"
    remotes: dict[str, str] = field(default_factory=dict[str, str])
    not_carried: tuple[NotCarried, ...] = ()

    @property
    def git_directory(self) -> str:
        return f"{self.top}/.git"

    @property
    def branch(self) -> str | None:
        return None if self.head in self.names else self.head

    def commit(self, revision: str) -> str | None:
        revision = self.head if revision == "HEAD" else revision
        return self.branches.get(revision) or self.names.get(revision)


@dataclass
class FakeCheckout:
    """A worktree or clone. `whole`: the checkout came to its end; `work`: what a person did in it.

    `unborn` is the branch without a commit that a person has switched it to.
    """

    spec: WorkspaceSpec
    head: str
    created_branch: bool
    whole: bool = False
    work: list[str] = field(default_factory=list[str])
    unborn: str | None = None


@dataclass(frozen=True)
class FakeKept:
    """What a commit under `refs/fleet/kept/` holds of a workspace (tests/fakes/removals.py)."""

    commit: str
    head: str
    created_branch: bool
    work: tuple[str, ...]
    contents: dict[str, bytes]
    unborn: str | None = None


@dataclass
class FakeDisk:
    """Everything that a crash leaves. `made` counts, by workspace id, how often a checkout came to its end, and was not
    discarded then.

    `contents` are files by directory and name, for those tests that look at them. `trees` and `kept` are what
    tests/fakes/trees.py and removals.py keep, by workspace id. `switched` are branches that a person checked out in a
    directory since it was made. `busy` names the processes that work in a directory. `cut_off` are worktrees whose
    repository was moved. `remade` counts how often a checkout was lost and made again. `placed` are the hosts of
    workspaces on other machines, on the disk of the server. A tree takes `tree_s`, or fails with the problem
    `tree_fault`, and `trees_taken_s` are the times at which one was begun.
    """

    directories: set[str] = field(default_factory=set[str])
    files: set[str] = field(default_factory=set[str])
    links: dict[str, str] = field(default_factory=dict[str, str])
    unreadable: set[str] = field(default_factory=set[str])
    repositories: dict[str, FakeRepository] = field(default_factory=dict[str, FakeRepository])
    checkouts: dict[str, FakeCheckout] = field(default_factory=dict[str, FakeCheckout])
    made: Counter[str] = field(default_factory=Counter[str])
    contents: dict[str, dict[str, bytes]] = field(default_factory=dict[str, dict[str, bytes]])
    trees: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict[str, dict[str, dict[str, bytes]]])
    kept: dict[str, FakeKept] = field(default_factory=dict[str, FakeKept])
    switched: dict[str, str] = field(default_factory=dict[str, str])
    cut_off: set[str] = field(default_factory=set[str])
    busy: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    remade: Counter[str] = field(default_factory=Counter[str])
    placed: dict[str, str] = field(default_factory=dict[str, str])
    tree_s: float = 0.0
    tree_fault: str | None = None
    trees_taken_s: list[float] = field(default_factory=list[float])

    def add_repository(self, top: str) -> FakeRepository:
        """Add a repository with one commit on `main`."""
        self.directories.add(top)
        commit = f"{len(self.repositories) + 1:040x}"
        repository = self.repositories[top] = FakeRepository(top, {"main": commit}, {commit: commit})
        return repository

    def move_repository(self, top: str, to: str) -> None:
        """Rename the directory of a repository; its worktrees do not find it any more."""
        self.directories.remove(top)
        self.directories.add(to)
        repository = self.repositories.pop(top)
        repository.top = to
        self.repositories[to] = repository
        if top in self.contents:
            self.contents[to] = self.contents.pop(top)
        made = [made.spec for made in self.checkouts.values() if made.spec.strategy == "worktree"]
        self.cut_off |= {spec.directory for spec in made if is_inside(spec.source_directory, (top,))}

    def checkout_at(self, directory: str) -> FakeCheckout | None:
        return next((made for made in self.checkouts.values() if made.spec.directory == directory), None)


class FakeWorkspaces:
    """The `Workspaces` port on a `FakeDisk`. `pause_s` is how long a checkout stays half-made."""

    def __init__(
        self,
        disk: FakeDisk,
        root: str = "/fleet/workspaces",
        allowed_roots: tuple[str, ...] = ("/",),
        pause_s: float = 0.01,
    ) -> None:
        self.disk = disk
        self._root = root
        self._allowed_roots = (*allowed_roots, root)
        self._pause_s = pause_s
        self._lock = trio.Lock()

    async def inspect(self, directory: str) -> Source:
        await trio.lowlevel.checkpoint()
        return self._look(directory)

    async def require(self, directory: str) -> None:
        await self.inspect(directory)

    def plan(
        self, workspace_id: str, strategy: Strategy, source: Source, branch: str | None, title: str
    ) -> tuple[str, str | None]:
        if strategy == "existing":
            return source.directory, branch
        name = directory_name(PurePosixPath(source.top or source.directory).name)
        own_branch = f"fleet/{slug(title)}-{workspace_id.replace('-', '')[-8:]}"
        return f"{self._root}/{workspace_id}/{name}", branch or own_branch

    async def check(self, spec: WorkspaceSpec, source: Source) -> None:
        await trio.lowlevel.checkpoint()
        self._check(spec, source)

    async def prepare(self, spec: WorkspaceSpec) -> PreparedWorkspace:
        await trio.lowlevel.checkpoint()
        source = self._look(spec.source_directory)
        if spec.strategy == "existing":
            self._check(spec, source)
            return PreparedWorkspace(source.directory, source.repository, source.branch, source.head)
        async with self._lock:
            made = self.disk.checkouts.get(spec.workspace_id)
            lost = made is not None and made.whole and spec.directory not in self.disk.directories
            if made is not None and lost:
                made = self._again(made)
                self.disk.remade[spec.workspace_id] += 1
            if made is None:
                made = self._begin(spec, source)
            if not made.whole:
                if made.work and not lost:
                    raise _dirty(spec.directory)
                await trio.sleep(self._pause_s)
                made.whole = True
                self.disk.directories.add(spec.directory)
                self.disk.made[spec.workspace_id] += 1
        return self._prepared(spec, made)

    async def discard(self, spec: WorkspaceSpec) -> None:
        await trio.lowlevel.checkpoint()
        made = self.disk.checkouts.get(spec.workspace_id)
        if made is None:
            return
        if any(work.startswith("file ") for work in made.work) or (spec.strategy == "clone" and made.work):
            raise _dirty(spec.directory)
        await trio.sleep(self._pause_s)
        del self.disk.checkouts[spec.workspace_id]
        self.disk.made.pop(spec.workspace_id, None)
        self.disk.directories.discard(spec.directory)
        repository = self.repository(spec.source_directory)
        if repository is not None and spec.branch is not None and made.created_branch and not made.work:
            repository.branches.pop(spec.branch, None)

    async def require_related(self, spec: WorkspaceSpec, commit: str | None) -> Source:
        source = await self.inspect(spec.source_directory)
        repository = self.repository(source.directory)
        if repository is None:
            raise Rejected("not_a_repository", f"{source.directory!r} is not in git", field="directory")
        own = self.repository(spec.directory) if spec.strategy == "worktree" else None
        lacks = commit is not None and commit not in (*repository.names, *repository.branches.values())
        if lacks or (own is not None and own.top != repository.top):
            raise Rejected("source_unrelated", f"{source.directory!r} does not have {commit!r}", hint="Name another.")
        return source

    async def relink(self, spec: WorkspaceSpec) -> None:
        await trio.lowlevel.checkpoint()
        self.disk.cut_off.discard(spec.directory)
        made = self.disk.checkouts.get(spec.workspace_id)
        if made is not None:
            made.spec = spec

    async def fault(self, spec: WorkspaceSpec) -> Fault | None:
        await trio.lowlevel.checkpoint()
        if spec.directory not in self.disk.directories:
            return "missing"
        return "cut_off" if spec.directory in self.disk.cut_off else None

    async def condition(self, directory: str) -> Condition | None:
        await trio.lowlevel.checkpoint()
        source = self._look(directory)
        if source.repository is None:
            return None
        made = self.disk.checkout_at(source.directory)
        dirty = made is not None and any(work.startswith("file ") for work in made.work)
        branch = self.disk.switched.get(directory, source.branch)
        return Condition(branch, dirty or bool(self.disk.contents.get(directory)))

    async def branches(self, source: Source, query: str) -> tuple[Branch, ...]:
        await trio.lowlevel.checkpoint()
        repository = self.repository(source.directory)
        if repository is None:
            raise Rejected(
                "not_a_repository", f"{source.directory!r} is not in git", field="directory", hint="Run `git init`."
            )
        held = self._held(repository)
        own = [
            Branch(name, "local", commit, 0, name == source.branch, held.get(name))
            for name, commit in repository.branches.items()
        ]
        others = [Branch(name, "remote", commit, 0) for name, commit in repository.remotes.items()]
        return tuple(branch for branch in (*own, *others) if query.casefold() in branch.name.casefold())

    def _held(self, repository: FakeRepository) -> dict[str, str]:
        """Return where branches are checked out."""
        held = {
            made.spec.branch: made.spec.directory
            for made in self.disk.checkouts.values()
            if made.spec.strategy == "worktree" and self.repository(made.spec.source_directory) is repository
        }
        return {name: place for name, place in (*held.items(), (repository.branch, repository.top)) if name}

    async def strays(self, known: frozenset[str]) -> tuple[str, ...]:
        await trio.lowlevel.checkpoint()
        return tuple(f"{self._root}/{made}" for made in sorted(self.disk.checkouts) if made not in known)

    def _look(self, directory: str) -> Source:
        real = self._real(directory)
        if not is_inside(real, self._allowed_roots):
            raise Rejected(
                "directory_outside_roots", f"{directory!r} is outside of the allowed roots", field="directory"
            )
        if real in self.disk.files:
            raise Rejected("not_a_directory", f"{directory!r} is not a directory", field="directory")
        if real in self.disk.unreadable:
            raise Rejected("directory_unreadable", f"Fleet may not read {directory!r}", field="directory")
        if real not in self.disk.directories:
            raise Rejected("directory_missing", f"{directory!r} does not exist", field="directory")
        repository = self.repository(real)
        if repository is None:
            return Source(real, None, None, None, None)
        made = self.disk.checkout_at(real)
        if made is not None and made.unborn is not None:
            return Source(real, repository.git_directory, real, made.unborn, None)
        if made is not None:
            return Source(real, repository.git_directory, real, made.spec.branch, made.head)
        head = repository.commit("HEAD")
        return Source(real, repository.git_directory, repository.top, repository.branch, head)

    def _real(self, directory: str) -> str:
        for link, target in self.disk.links.items():
            if is_inside(directory, (link,)):
                return self._real(str(PurePosixPath(target) / PurePosixPath(directory).relative_to(link)))
        return directory

    def repository(self, real: str) -> FakeRepository | None:
        """Return the repository that a real directory is in."""
        made = self.disk.checkout_at(real)
        if made is not None and made.spec.strategy == "worktree":
            return self.repository(made.spec.source_directory)
        if made is not None:
            branch = made.spec.branch or ""
            return FakeRepository(real, {branch: made.head}, head=branch)
        inside = [top for top in self.disk.repositories if is_inside(real, (top,))]
        return self.disk.repositories[max(inside, key=len)] if inside else None

    def _check(self, spec: WorkspaceSpec, source: Source) -> None:
        if spec.strategy == "existing":
            if spec.branch is not None or spec.base_ref is not None:
                raise Rejected("branch_invalid", "`existing` uses a directory unchanged", field="branch")
            return
        repository = self.repository(source.directory)
        if repository is None:
            raise Rejected("not_a_repository", f"{source.directory!r} is not in git", field="isolationStrategy")
        branch = _branch_name(spec.branch)
        if not repository.branches and not repository.names:
            raise Rejected("repository_empty", f"{source.directory!r} has no commit", field="directory")
        if spec.base_ref is not None and repository.commit(spec.base_ref) is None:
            raise Rejected("base_ref_unknown", f"{spec.base_ref!r} does not name a commit", field="baseRef")
        in_the_way = [name for name in repository.branches if _excludes(name, branch)]
        if in_the_way or (spec.base_ref is not None and branch in repository.branches):
            raise Rejected("branch_exists", f"the branch {branch!r} cannot be created", field="branch")
        if spec.strategy == "worktree":
            self._check_not_checked_out(repository, branch, spec)

    def _check_not_checked_out(self, repository: FakeRepository, branch: str, spec: WorkspaceSpec) -> None:
        held = [
            made.spec.directory
            for made in self.disk.checkouts.values()
            if made.spec.strategy == "worktree"
            and made.spec.branch == branch
            and made.spec.workspace_id != spec.workspace_id
            and self.repository(made.spec.source_directory) is repository
        ]
        held += [repository.top] if repository.branch == branch else []
        if held:
            raise Rejected(
                "branch_checked_out",
                f"the branch {branch!r} is checked out at {held[0]!r}",
                field="branch",
                extra={"checkedOutAt": held[0]},
            )

    def _begin(self, spec: WorkspaceSpec, source: Source) -> FakeCheckout:
        self._check(spec, source)
        repository = self.repository(spec.source_directory)
        assert repository is not None
        assert spec.branch is not None
        existing = repository.branches.get(spec.branch)
        head = existing or repository.commit(spec.base_ref or "HEAD")
        if head is None:
            raise Rejected("repository_empty", f"HEAD of {repository.top!r} has no commit", field="directory")
        created = existing is None and spec.strategy == "worktree"
        if created:
            repository.branches[spec.branch] = head
        made = self.disk.checkouts[spec.workspace_id] = FakeCheckout(spec, head, created)
        return made

    def _again(self, made: FakeCheckout) -> FakeCheckout:
        """Make a checkout that a person has deleted again: of its commits a worktree's branch has all, a clone none."""
        commits = [work for work in made.work if work.startswith("commit ")]
        work = commits if made.spec.strategy == "worktree" else []
        again = self.disk.checkouts[made.spec.workspace_id] = FakeCheckout(
            made.spec, made.head, made.created_branch, work=work, unborn=made.unborn
        )
        return again

    def _prepared(self, spec: WorkspaceSpec, made: FakeCheckout) -> PreparedWorkspace:
        repository = self.repository(spec.directory)
        source = self.repository(spec.source_directory)
        lacking = () if source is None else source.not_carried
        found = None if repository is None else repository.git_directory  # it may have been moved meanwhile
        return PreparedWorkspace(spec.directory, found, spec.branch, made.head, lacking)


def _dirty(directory: str) -> Rejected:
    return Rejected("workspace_dirty", f"Somebody worked in {directory!r}")


def _excludes(name: str, branch: str) -> bool:
    return branch.startswith(f"{name}/") or name.startswith(f"{branch}/")


def _branch_name(branch: str | None) -> str:
    """The rules of `git check-ref-format`, no dash first, and no ref."""
    refused = (
        r"^-|^refs/|^@?$|^HEAD$|\.\.|@\{|[\x00-\x20\x7f~^:?*\[\\]|(^|/)\.|//|^/|/$|\.$|\.lock(/|$)|[\ud800-\udfff]"
    )
    if branch is None or len(branch.encode(errors="replace")) > 240 or re.search(refused, branch):
        raise Rejected("branch_invalid", f"{branch!r} cannot be the name of a branch", field="branch")
    return branch
