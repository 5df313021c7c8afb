"""The port for directories, git worktrees and clones."""

from typing import Literal, Protocol

import msgspec

Strategy = Literal["existing", "worktree", "clone"]
BranchKind = Literal["local", "remote"]
Fault = Literal["missing", "cut_off"]
"""What can be wrong with a checkout: it is not there, or git in it does not find its repository."""
NotCarriedKind = Literal["directory", "hooks", "filters", "lfs", "submodules", "objects", "config", "files"]


class WorkspaceSpec(msgspec.Struct, frozen=True):
    """What is asked of a workspace. The order is logged before it is carried out, and carried out idempotently.

    `source_directory` is real and absolute. `directory` is where the checkout goes (for `existing` the source itself).
    `branch` is the branch to create or check out, `base_ref` what a new branch starts from.
    """

    workspace_id: str
    strategy: Strategy
    source_directory: str
    directory: str
    branch: str | None = None
    base_ref: str | None = None


class Source(msgspec.Struct, frozen=True):
    """The facts about a directory that a caller named.

    `repository` is the real path of the common git directory (shared by all worktrees), None outside of git. `top` is
    the work tree's root, None for a bare repository and outside of git. `head` is the commit, None where there is none.
    `git_directory` is that of this checkout alone: a linked worktree has one of its own.
    """

    directory: str
    repository: str | None
    top: str | None
    branch: str | None
    head: str | None
    git_directory: str | None = None


class NotCarried(msgspec.Struct, frozen=True):
    """Something of the source that a workspace does not have. `detail` says what is missing and what helps."""

    what: NotCarriedKind
    detail: str


class PreparedWorkspace(msgspec.Struct, frozen=True):
    """A workspace that is ready: its real directory and, in git, branch (None when detached) and commit.

    `not_carried`: what of the source is not in it.
    """

    directory: str
    repository: str | None
    branch: str | None
    head: str | None
    not_carried: tuple[NotCarried, ...] = ()


class Condition(msgspec.Struct, frozen=True):
    """How a checkout stands: its branch (None when detached), and whether anything differs from its commit.

    Files that git does not know yet count, ignored ones do not.
    """

    branch: str | None
    dirty: bool


class Branch(msgspec.Struct, frozen=True):
    """A branch of a repository: `origin/main` is the name of one that is `remote`. `committed_ms`: its newest commit.

    `current`: it is checked out in the directory that was asked about. `checked_out_at` is the work tree that has it.
    """

    name: str
    kind: BranchKind
    commit: str
    committed_ms: int
    current: bool = False
    checked_out_at: str | None = None


class Workspaces(Protocol):
    """Directories, git worktrees and clones."""

    async def inspect(self, directory: str) -> Source:
        """Resolve symlinks, check the allowed roots and say what is there.

        Raises `Rejected`: directory_missing, not_a_directory, directory_outside_roots, directory_unreadable.
        """
        ...

    def plan(
        self, workspace_id: str, strategy: Strategy, source: Source, branch: str | None, title: str
    ) -> tuple[str, str | None]:
        """Return (directory, branch) for a new workspace: names that collide with nothing, to be logged first."""
        ...

    async def check(self, order: WorkspaceSpec) -> None:
        """Refuse, before anything is logged, what `prepare` would refuse.

        Raises `Rejected`: not_a_repository, repository_empty, branch_invalid, branch_exists, branch_checked_out,
        base_ref_unknown.
        """
        ...

    async def prepare(self, order: WorkspaceSpec) -> PreparedWorkspace:
        """Make the workspace, or finish one that a crash left half-made. Raises `Problem`."""
        ...

    async def discard(self, order: WorkspaceSpec) -> None:
        """Remove what `prepare` left behind when it failed, or a crash did. Only what holds no work."""
        ...

    async def require_related(self, order: WorkspaceSpec, commit: str | None) -> Source:
        """Return the order's source where its repository has this commit, or any for None, and the worktree.

        Raises what `inspect` raises, and `Rejected` not_a_repository, source_unrelated; `Problem` git_failed.
        """
        ...

    async def relink(self, order: WorkspaceSpec) -> None:
        """Let a worktree whose repository was moved find it again, and the repository the worktree. Idempotent."""
        ...

    async def fault(self, order: WorkspaceSpec) -> Fault | None:
        """Return what is wrong with a workspace that was made, None where nothing is. Starts no process."""
        ...

    async def condition(self, directory: str) -> Condition | None:
        """Look how the checkout in a real directory stands, None outside of a work tree of git. Raises `Problem`."""
        ...

    async def branches(self, source: Source, query: str) -> tuple[Branch, ...]:
        """Return branches of the repository of a source, the newest first: those whose name has `query` in it.

        Upper and lower case are the same, and an empty one is in every name. The newest few thousand are looked at.
        Raises `Rejected` not_a_repository, or directory_outside_roots where the repository is; `Problem` git_failed.
        """
        ...

    async def strays(self, known: frozenset[str]) -> tuple[str, ...]:
        """Return the directories below Fleet's workspace directory that belong to no id in `known`."""
        ...
