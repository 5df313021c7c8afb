"""The `Workspaces` port: existing directories, and worktrees and clones below one root.

Fleet makes and removes checkouts only at `<root>/<workspace id>/<repository name>`. Sources are inside the allowed
roots, and Fleet's own root is one: a session may start from another's workspace. A repository has one worktree change
at a time. `WorkspaceSpec.directory` is the root of the checkout; `PreparedWorkspace.directory` is where the agent
works: the source's subdirectory of its repository, if the checkout has it.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Final, NamedTuple

import trio

from fleet.adapters.git import branches, clones, worktrees
from fleet.adapters.git.branch_listing import list_branches
from fleet.adapters.git.command import run
from fleet.adapters.git.files import make_directory, read_file, remove_if_empty
from fleet.adapters.git.includes import carry
from fleet.adapters.git.not_carried import configured, lacking
from fleet.adapters.git.pristine_check import remove_if_blank
from fleet.adapters.git.repository import condition, is_commit, read_source, resolve, why_no_repository
from fleet.core.paths import directory_name, is_inside, slug
from fleet.errors import Rejected
from fleet.keyed_locks import Locks
from fleet.limits import CHECK_COUNTS_S, CHECKS_REMEMBERED_MAX
from fleet.ports import Branch, Condition, Fault, NotCarried, PreparedWorkspace, Source, Strategy, WorkspaceSpec
from fleet.side_by_side import both


class _Checked(NamedTuple):
    """What a check of a new workspace has read: its source, and the refs near its branch."""

    spec: WorkspaceSpec
    source: Source
    refs: Mapping[str, str]
    at_s: float


class GitWorkspaces:
    """Workspaces on this machine's disk.

    `root` is created on first use. Symlinks in the roots are resolved once, here. `locks` has locks of repositories
    (for worktrees) and of directories (for clones); removals.py uses them as well.
    """

    def __init__(self, root: Path, allowed_roots: Iterable[Path]) -> None:
        self._root = os.path.realpath(root)
        self._allowed_roots = (*(os.path.realpath(allowed) for allowed in allowed_roots), self._root)
        self.locks = Locks()
        self._checked: dict[str, _Checked] = {}

    @property
    def root(self) -> str:
        """The real path of the directory below which workspaces are made."""
        return self._root

    async def inspect(self, directory: str) -> Source:
        """Resolve symlinks, check the allowed roots and return what the directory is (see the port)."""
        return await read_source(await resolve(directory, self._allowed_roots))

    async def require(self, directory: str) -> None:
        """Raise the `Rejected` with which `inspect` would refuse the directory (see the port)."""
        await resolve(directory, self._allowed_roots)

    def plan(
        self, workspace_id: str, strategy: Strategy, source: Source, branch: str | None, title: str
    ) -> tuple[str, str | None]:
        """Return (directory, branch). For `existing` a requested branch is returned, and `check` refuses it."""
        if strategy == "existing":
            return source.directory, branch
        top = PurePath(source.top or source.repository or source.directory)
        # The git directory of a bare repository, or a path that ends with `.git`.
        named = top.parent.name if top.name == ".git" else top.name.removesuffix(".git")
        own_branch = f"fleet/{slug(title)}-{workspace_id.replace('-', '')[-8:]}"
        return f"{self._root}/{workspace_id}/{directory_name(named)}", branch or own_branch

    async def check(self, spec: WorkspaceSpec, source: Source) -> None:
        """Check that `prepare` would accept the workspace (see the port)."""
        if spec.strategy == "existing":
            _refuse_branch_of_existing(spec)
            return
        self.require_own_place(spec)
        repository = await self.repository_of(source)
        branch = await branches.check_name(repository, spec.branch)
        await branches.check_not_empty(source, repository)
        refs, listed = await both(branches.refs_near(repository, branch), _registrations(spec, repository))
        if f"refs/heads/{branch}" not in refs:
            await branches.base_commit(source, spec.base_ref)
            branches.check_place(refs, branch)
        elif spec.base_ref is not None:
            await branches.base_commit(source, spec.base_ref)
            raise branches.refuse_existing(branch, spec.base_ref)
        worktrees.check_not_checked_out(listed, branch, spec.directory)
        self._checked[spec.workspace_id] = _Checked(spec, source, refs, trio.current_time())
        if len(self._checked) > CHECKS_REMEMBERED_MAX:
            del self._checked[next(iter(self._checked))]

    async def prepare(self, spec: WorkspaceSpec) -> PreparedWorkspace:
        """Make the workspace, or finish one that a crash left incomplete; copy the requested ignored files.

        What a check has just read is not read again. Raises the errors of `check`, workspace_dirty if other files are
        in its place, `Problem` git_failed.
        """
        checked = self._just_checked(spec)
        source = await self.inspect(spec.source_directory) if checked is None else checked.source
        if spec.strategy == "existing":
            _refuse_branch_of_existing(spec)
            return _prepared(source, source.directory)
        self.require_own_place(spec)
        repository = await self.repository_of(source)
        branch = await branches.check_name(repository, spec.branch)
        await make_directory(self._root)
        async with self.locks.hold(repository if spec.strategy == "worktree" else spec.directory):
            making = (
                worktrees.make(source, repository, spec, branch, None if checked is None else checked.refs)
                if spec.strategy == "worktree"
                else clones.make(source, repository, spec, branch)
            )
            made, entries = await both(making, configured(source))
        not_carried, lacks = await both(carry(source.top, spec.directory), lacking(source, entries, spec))
        directory = await trio.to_thread.run_sync(_same_subdirectory, source, spec.directory)
        left = [*lacks, *not_carried]
        if directory is None:
            left.insert(0, no_subdirectory(source))
        if made is None:
            return _prepared(await read_source(spec.directory), directory or spec.directory, tuple(left))
        return PreparedWorkspace(directory or spec.directory, repository, branch, made, tuple(left))

    def _just_checked(self, spec: WorkspaceSpec) -> _Checked | None:
        """Return what the check of the workspace has read, once, if that was a moment ago."""
        checked = self._checked.pop(spec.workspace_id, None)
        if checked is None or checked.spec != spec or trio.current_time() - checked.at_s > CHECK_COUNTS_S:
            return None
        return checked

    async def discard(self, spec: WorkspaceSpec) -> None:
        """Remove the remains of `prepare`. Does nothing for `existing`, or if nothing was made.

        A branch that Fleet created is removed as well if it has no new commits. Raises `Rejected` workspace_dirty if it
        contains work, `Problem` git_failed.
        """
        if spec.strategy == "existing":
            return
        self.require_own_place(spec)
        repository = await self.repository_of_worktree(spec) if spec.strategy == "worktree" else None
        async with self.locks.hold(repository or spec.directory):
            if spec.strategy == "clone":
                await clones.discard(spec)
            elif repository is not None and spec.branch is not None:
                await worktrees.discard(repository, spec, spec.branch)
            else:
                await remove_if_blank(spec.directory)
        await remove_if_empty(str(Path(spec.directory).parent))

    async def require_related(self, spec: WorkspaceSpec, commit: str | None) -> Source:
        """Return the source if its repository has the commit and the worktree (see the port)."""
        source = await self.inspect(spec.source_directory)
        repository = await self.repository_of(source, "sourceDirectory")
        lacks: str | None = None
        if commit is not None and not await is_commit(repository, commit):
            lacks = f"the commit {commit[:12]} at which the workspace began"
        elif spec.strategy == "worktree" and not await worktrees.may_have(repository, spec.directory):
            lacks = f"the worktree {spec.directory!r}, which belongs to another repository"
        if lacks is not None:
            raise Rejected(
                "source_unrelated",
                f"the repository of {spec.source_directory!r} does not have {lacks}",
                hint="Give the directory that the project was moved to.",
            )
        return source

    async def relink(self, spec: WorkspaceSpec) -> None:
        """Repair the links between a worktree and its repository (see the port)."""
        if spec.strategy != "worktree":
            return
        repository = await self.repository_of(await self.inspect(spec.source_directory))
        async with self.locks.hold(repository):
            await run("worktree", "repair", "--", spec.directory, directory=repository, repository=repository)

    async def fault(self, spec: WorkspaceSpec) -> Fault | None:
        """Return what is wrong with an existing workspace (see the port)."""
        return await trio.to_thread.run_sync(_fault, spec)

    async def condition(self, directory: str) -> Condition | None:
        """Return the condition of a checkout (see the port) without writing anything. Raises `Problem`."""
        return await condition(directory)

    async def branches(self, source: Source, query: str) -> tuple[Branch, ...]:
        """Return branches of the source's repository (see the port)."""
        await self.repository_of(source, "directory")
        return await list_branches(source.directory, source.git_directory, query)

    async def strays(self, known: frozenset[str]) -> tuple[str, ...]:
        """Return the directories below the root that belong to none of the ids in `known`."""
        try:
            entries = await trio.to_thread.run_sync(os.listdir, self._root)
        except FileNotFoundError:
            return ()
        return tuple(f"{self._root}/{name}" for name in sorted(entries) if name not in known)

    async def repository_of(self, source: Source, field: str = "isolationStrategy") -> str:
        """Return the repository of a source. Raises `Rejected` not_a_repository, directory_outside_roots."""
        if source.repository is None:
            raise Rejected(
                "not_a_repository",
                f"{source.directory!r} is not in a git repository: {await why_no_repository(source.directory)}",
                field=field,
                hint="Use the strategy `existing`, or run `git init` and commit first.",
            )
        # A `.git` file, or git's search upwards, may lead out of the roots.
        if not is_inside(source.repository, self._allowed_roots):
            raise Rejected(
                "directory_outside_roots",
                f"the repository of {source.directory!r} is outside of the allowed roots",
                field="directory",
                hint="Use the strategy `existing`, or allow the repository's directory.",
            )
        return source.repository

    async def repository_of_worktree(self, spec: WorkspaceSpec) -> str | None:
        """Find the repository from the source or, if that is missing, from the worktree; None without either.

        Raises `Rejected` if one exists but Fleet may not read it, `Problem` git_failed.
        """
        refused: Rejected | None = None
        for directory in (spec.source_directory, spec.directory):
            try:
                source = await self.inspect(directory)
            except Rejected as rejected:
                refused = refused or (None if rejected.code in _ABSENT else rejected)
                continue
            if source.repository is not None and (directory != spec.directory or source.top == directory):
                return source.repository
        if refused is not None:
            raise refused
        return None

    async def repository_of_clone(self, spec: WorkspaceSpec) -> str | None:
        """Return the repository that a clone was made from, None if it is missing.

        Raises the errors of `repository_of_worktree`.
        """
        try:
            return (await self.inspect(spec.source_directory)).repository
        except Rejected as rejected:
            if rejected.code not in _ABSENT:
                raise
            return None

    def require_own_place(self, spec: WorkspaceSpec) -> None:
        """Raise `Rejected` directory_outside_roots if the workspace's directory is not the one that Fleet plans."""
        parent = f"{self._root}/{spec.workspace_id}"
        path = PurePath(spec.directory)
        own = str(path.parent) == parent and ".." not in path.parts and PurePath(spec.workspace_id).name
        if own != spec.workspace_id or os.path.realpath(parent) != parent or Path(spec.directory).is_symlink():
            raise Rejected(
                "directory_outside_roots",
                f"{spec.directory!r} is not the place of Fleet's workspace {spec.workspace_id!r}",
                hint=f"Workspaces are below {self._root!r}. Check whether the data directory was moved.",
            )


_ABSENT: Final = frozenset(("directory_missing", "not_a_directory"))
"""The refusals of a missing directory; other refusals do not mean that it is missing."""


async def _registrations(spec: WorkspaceSpec, repository: str) -> tuple[worktrees.Registration, ...]:
    """Return the worktrees that may have the branch: a clone shares no branch with them."""
    return await worktrees.registrations(repository) if spec.strategy == "worktree" else ()


def _refuse_branch_of_existing(spec: WorkspaceSpec) -> None:
    if spec.branch is None and spec.base_ref is None:
        return
    raise Rejected(
        "branch_invalid",
        "the strategy `existing` uses a directory unchanged, so no branch can be chosen",
        field="baseRef" if spec.branch is None else "branch",
        hint="Omit branch and baseRef, or use the strategy `worktree` or `clone`.",
    )


def _prepared(checkout: Source, directory: str, not_carried: tuple[NotCarried, ...] = ()) -> PreparedWorkspace:
    return PreparedWorkspace(directory, checkout.repository, checkout.branch, checkout.head, not_carried)


def _fault(spec: WorkspaceSpec) -> Fault | None:
    if spec.strategy == "existing":
        return None if Path(spec.directory).is_dir() else "missing"
    dot_git = Path(spec.directory, ".git")
    if dot_git.is_dir():
        return None
    try:
        link = read_file(dot_git)
    except OSError:
        return "missing"
    own = os.fsdecode(link.strip().removeprefix(b"gitdir: "))
    try:
        linked = Path(spec.directory, own)
        if not own or not linked.is_dir():
            return "cut_off"
        return "missing" if _belongs_to_another(linked, dot_git) else None
    except OSError:  # an agent may have written something that is not a path
        return "cut_off"


def _belongs_to_another(linked: Path, dot_git: Path) -> bool:
    """Return whether the git directory of a worktree is that of another checkout, which exists.

    A copy of a worktree, in a copied data directory, shares index and HEAD with the original: work in one of them would
    destroy that of the other.
    """
    try:
        named = Path(linked, os.fsdecode(read_file(linked / "gitdir").strip()))
        return named.exists() and not named.samefile(dot_git)
    except OSError:
        return False


def _same_subdirectory(source: Source, checkout: str) -> str | None:
    """Return the subdirectory of the checkout that the source is in its own checkout, None if it is missing."""
    if source.top is None:
        return checkout
    same = os.path.realpath(Path(checkout, PurePath(source.directory).relative_to(source.top)))
    # In another commit it may be missing, or a symlink to another place.
    return same if is_inside(same, (checkout,)) and Path(same).is_dir() else None


def no_subdirectory(source: Source) -> NotCarried:
    """Return that the checkout has no directory like that of the source."""
    named = PurePath(source.directory).relative_to(source.top or source.directory)
    return NotCarried(
        "directory",
        f"{str(named)!r} is not in the checked-out commit, so the session starts at the top of the checkout.",
    )
