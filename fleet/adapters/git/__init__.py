"""The ports `Workspaces`, `Trees` and `Removals`, implemented with git.

`workspaces.py` implements the port; `command.py` alone runs git; `repository.py` reads repositories; `branches.py`
refuses bad branches and bases; `worktrees.py` and `clones.py` make and remove; `pristine_check.py` proves that a
checkout holds no work; `clone_config.py`, `sparse.py` and `includes.py` bring along what git leaves behind,
`not_carried.py` names what stays behind; `files.py` holds the few file operations; each repository has a lock. The
decisions are in docs/adr/0004-workspaces.md.

`trees.py` implements snapshots: `checkout_location.py` finds what is to be looked at, `snapshot_repository.py` has the
git directories of Fleet's own, `snapshot.py` reads files into them by the `ignore_rules.py` of what counts,
`tree_diff.py` compares. `removals.py` implements removal without loss: `inventory.py` and `unique_commits.py` find
what is only in a workspace, `preservation_commit.py` has the kept commit, `open_processes.py` asks for processes,
`restores.py` brings back. The decisions are in docs/adr/0014-trees-and-keeping.md.
"""

from fleet.adapters.git.removals import GitRemovals
from fleet.adapters.git.trees import GitTrees
from fleet.adapters.git.workspaces import GitWorkspaces

__all__ = ["GitRemovals", "GitTrees", "GitWorkspaces"]
