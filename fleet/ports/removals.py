"""The port for removals: workspaces are removed without loss, and can be restored (law 9)."""

from typing import Protocol

import msgspec

from fleet.ports.workspaces import WorkspaceSpec


class PreservedWork(msgspec.Struct, frozen=True):
    """Work that was kept from a workspace that goes.

    `ref` is below `refs/fleet/` in the source repository and points at `commit`. The commit's tree is the work tree as
    it was, untracked files included; its parents are what was checked out and every branch tip that only the workspace
    had. Both are None where there was nothing that is not on a branch that stays. `branch` and `head` are what was
    checked out. `ignored` names ignored files, which are not kept: at most `IGNORED_LISTED_MAX`, and
    how many there are beside them.
    """

    ref: str | None
    commit: str | None
    branch: str | None
    head: str | None
    ignored: tuple[str, ...] = ()
    ignored_more: int = 0


class Busy(msgspec.Struct, frozen=True):
    """A process that has its working directory in a workspace: its command line, cut, and its age in seconds."""

    pid: int
    command: str = ""
    age_s: int = 0

    @property
    def words(self) -> str:
        """The process as a person reads it."""
        units = ((86_400, "d"), (3_600, "h"), (60, "min"))
        size, unit = next((each for each in units if self.age_s >= each[0]), (1, "s"))
        return f"{self.pid} ({self.command}, for {self.age_s // size} {unit})" if self.command else str(self.pid)


class Preview(msgspec.Struct, frozen=True):
    """What `keep` and `remove` would do now. `kept` has no commit yet: its `ref` is where work would be kept.

    `busy` are processes that work there: a removal is refused while they do.
    """

    kept: PreservedWork
    busy: tuple[Busy, ...] = ()


class Removals(Protocol):
    """Takes workspaces away and brings them back."""

    async def keep(self, order: WorkspaceSpec) -> PreservedWork:
        """Keep what is only in the workspace as a commit under `refs/fleet/kept/<workspace id>` of the source.

        Made with plumbing and an index of its own. Idempotent: the same content gives the same answer. A workspace
        whose directory is gone keeps its branch's commits. Raises `Problem`.
        """
        ...

    async def preview(self, order: WorkspaceSpec) -> Preview:
        """Look what `keep` and `remove` would do, and change nothing: no file, no object, no ref.

        Raises the `Problem` that either of them would raise, but for processes that work there.
        """
        ...

    async def remove(self, order: WorkspaceSpec, kept: PreservedWork) -> None:
        """Remove directory and registration of a worktree or clone, and the branch that Fleet made for it.

        Verifies first that nothing has changed since `kept`: raises `Rejected` workspace_dirty if it has, and
        workspace_busy (naming the processes) when a process has its working directory there. Idempotent; never
        `--force` before the proof.
        """
        ...

    async def restore(self, order: WorkspaceSpec, kept: PreservedWork) -> None:
        """Bring directory, branch, commits, changes and untracked files back. Raises `Problem`."""
        ...
