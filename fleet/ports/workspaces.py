"""The port for directories, git worktrees and clones."""

from typing import Literal, Protocol

import msgspec

Strategy = Literal["existing", "worktree", "clone"]
BranchKind = Literal["local", "remote"]
Fault = Literal["missing", "cut_off"]
"""What can be wrong with a checkout: it does not exist, or git does not find its repository."""
NotCarriedKind = Literal["directory", "hooks", "filters", "lfs", "submodules", "objects", "config", "files"]


class WorkspaceSpec(msgspec.Struct, frozen=True):
    """The specification of a workspace. It is logged before the workspace is made, and making it is idempotent.

    `source_directory` is real and absolute. `directory` is the place of the checkout (for `existing`, the source
    itself). `branch` is the branch to create or check out, `base_ref` the start of a new branch. `host` is where it is
    to be made; on any host, the source and `directory` are named as on the server's machine.
    """

    workspace_id: str
    strategy: Strategy
    source_directory: str
    directory: str
    branch: str | None = None
    base_ref: str | None = None
    host: str = "local"


class Source(msgspec.Struct, frozen=True):
    """A directory that a caller named, and its repository.

    `repository` is the real path of the common git directory (shared by all worktrees), None outside of git. `top` is
    the work tree's root, None for a bare repository and outside of git. `head` is the commit, None where there is none.
    `git_directory` belongs to this checkout: a linked worktree has its own.
    """

    directory: str
    repository: str | None
    top: str | None
    branch: str | None
    head: str | None
    git_directory: str | None = None


class NotCarried(msgspec.Struct, frozen=True):
    """Something in the source that the workspace lacks. `detail` says what is missing and what to do."""

    what: NotCarriedKind
    detail: str


class PreparedWorkspace(msgspec.Struct, frozen=True):
    """A workspace that is ready: its real directory on its host and, in git, branch (None when detached) and commit.

    `repository` is the source's, on the server's machine. `not_carried` lists what it lacks of the source.
    """

    directory: str
    repository: str | None
    branch: str | None
    head: str | None
    not_carried: tuple[NotCarried, ...] = ()


class Condition(msgspec.Struct, frozen=True):
    """The state of a checkout: its branch (None when detached), and whether its files differ from its commit.

    Untracked files count as a difference, ignored ones do not.
    """

    branch: str | None
    dirty: bool


class Branch(msgspec.Struct, frozen=True):
    """A branch of a repository; a `remote` one has a name like `origin/main`.

    `committed_ms` is the time of its newest commit. `current`: it is checked out in the given directory.
    `checked_out_at` is the work tree that has it.
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
        """Resolve symlinks, check the allowed roots and return what the directory is.

        Raises `Rejected`: directory_missing, not_a_directory, directory_outside_roots, directory_unreadable.
        """
        ...

    def plan(
        self, workspace_id: str, strategy: Strategy, source: Source, branch: str | None, title: str
    ) -> tuple[str, str | None]:
        """Return an unused (directory, branch) for a new workspace, to be logged first."""
        ...

    async def require(self, directory: str) -> None:
        """Raise the `Rejected` with which `inspect` would refuse the directory. Starts no process."""
        ...

    async def check(self, spec: WorkspaceSpec, source: Source) -> None:
        """Check before anything is logged that `prepare` would accept the workspace. `source` was just inspected.

        Raises `Rejected`: not_a_repository, repository_empty, branch_invalid, branch_exists, branch_checked_out,
        base_ref_unknown.
        """
        ...

    async def prepare(self, spec: WorkspaceSpec) -> PreparedWorkspace:
        """Make the workspace, or finish one that a crash left incomplete. Raises `Problem`."""
        ...

    async def discard(self, spec: WorkspaceSpec) -> None:
        """Remove the remains of a failed or crashed `prepare`, as far as they contain no work."""
        ...

    async def require_related(self, spec: WorkspaceSpec, commit: str | None) -> Source:
        """Return the source if its repository has this commit (None: any) and the worktree.

        Raises the errors of `inspect`, and `Rejected` not_a_repository, source_unrelated; `Problem` git_failed.
        """
        ...

    async def relink(self, spec: WorkspaceSpec) -> None:
        """Repair the links between a worktree and its repository after the repository was moved. Idempotent."""
        ...

    async def fault(self, spec: WorkspaceSpec) -> Fault | None:
        """Return what is wrong with an existing workspace, None if it is intact. Starts no process."""
        ...

    async def condition(self, directory: str) -> Condition | None:
        """Return the condition of the checkout in a real directory, None outside of git. Raises `Problem`."""
        ...

    async def branches(self, source: Source, query: str) -> tuple[Branch, ...]:
        """Return the branches of a source's repository whose names contain `query`, newest first.

        Case is ignored, and an empty query matches every name. Only the newest few thousand are searched. Raises
        `Rejected` not_a_repository, directory_outside_roots for a repository outside the roots; `Problem` git_failed.
        """
        ...

    async def strays(self, known: frozenset[str]) -> tuple[str, ...]:
        """Return the directories below Fleet's workspace directory that belong to none of the ids in `known`."""
        ...
