"""The port for removals: workspaces are removed without loss, and can be restored (law 9)."""

from typing import Protocol

import msgspec

from fleet.ports.workspaces import WorkspaceSpec


class PreservedWork(msgspec.Struct, frozen=True):
    """The work that was preserved from a workspace before its removal.

    `ref` is below `refs/fleet/` in the source repository and points at `commit`. The commit's tree is the work tree as
    it was, untracked files included; its parents are the checked-out commit and every branch tip that only the
    workspace had. Both are None if all work is on remaining branches. `branch` and `head` were checked out. `ignored`
    lists at most `IGNORED_LISTED_MAX` of the ignored files, which are not preserved; their total is beside it.
    """

    ref: str | None
    commit: str | None
    branch: str | None
    head: str | None
    ignored: tuple[str, ...] = ()
    ignored_more: int = 0


class Busy(msgspec.Struct, frozen=True):
    """A process that has its working directory in a workspace: its truncated command line, and its age in seconds."""

    pid: int
    command: str = ""
    age_s: int = 0

    @property
    def words(self) -> str:
        """The process as text for a person."""
        units = ((86_400, "d"), (3_600, "h"), (60, "min"))
        size, unit = next((each for each in units if self.age_s >= each[0]), (1, "s"))
        return f"{self.pid} ({self.command}, for {self.age_s // size} {unit})" if self.command else str(self.pid)


class Preview(msgspec.Struct, frozen=True):
    """What `keep` and `remove` would do now. `kept` has no commit yet; its `ref` is the one that would be written.

    `busy` are processes that run there: they make Fleet refuse a removal.
    """

    kept: PreservedWork
    busy: tuple[Busy, ...] = ()


class Removals(Protocol):
    """Removes workspaces and restores them."""

    async def keep(self, spec: WorkspaceSpec) -> PreservedWork:
        """Commit everything that exists only in the workspace under `refs/fleet/kept/<workspace id>` of the source.

        It uses git's plumbing commands and a separate index. Idempotent: the same content gives the same result. For a
        missing directory, the commits of its branch are preserved. Raises `Problem`.
        """
        ...

    async def preview(self, spec: WorkspaceSpec) -> Preview:
        """Return what `keep` and `remove` would do, without changing a file, object or ref.

        Raises the `Problem` that either of them would raise, except for processes that run there.
        """
        ...

    async def remove(self, spec: WorkspaceSpec, kept: PreservedWork) -> None:
        """Remove the directory and registration of a worktree or clone, and the branch that Fleet made for it.

        It verifies first that nothing has changed since `kept`: raises `Rejected` workspace_dirty if something has, and
        workspace_busy (with the processes) if a process has its working directory there. Idempotent; it never uses
        `--force` before this check.
        """
        ...

    async def restore(self, spec: WorkspaceSpec, kept: PreservedWork) -> None:
        """Restore the directory, branch, commits, changes and untracked files. Raises `Problem`."""
        ...
