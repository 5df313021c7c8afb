"""The `Workspaces` port on git: worktrees and clones.

`workspaces.py` implements the port; `command.py` alone runs git; `repository.py` reads repositories; `branches.py`
refuses bad branches and bases; `worktrees.py` and `clones.py` make and remove; `untouched.py` proves that nobody worked
in one; `files.py` and `locks.py` hold the few file operations and the lock per repository.
The decisions are in docs/adr/0004-workspaces.md.
"""

from fleet.adapters.git.workspaces import GitWorkspaces

__all__ = ["GitWorkspaces"]
