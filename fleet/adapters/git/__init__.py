"""The `Workspaces`, `Trees` and `Removals` ports on git.

`workspaces.py` implements the port; `command.py` alone runs git; `repository.py` reads repositories; `branches.py`
refuses bad branches and bases; `worktrees.py` and `clones.py` make and remove; `untouched.py` proves that nobody worked
in one; `carried.py`, `sparse.py` and `includes.py` bring along what git leaves behind, `lacking.py` names what stays
behind; `files.py` holds the few file operations; each repository has a lock.
The decisions are in docs/adr/0004-workspaces.md.

`trees.py` implements snapshots: `places.py` finds what is to be looked at, `stores.py` has the git directories of
Fleet's own, `snapshot.py` reads files into them by the `rules.py` of what counts, `changes.py` compares.
`removals.py` implements removal without loss: `survey.py` and `tips.py` find what is only in a workspace, `saved.py`
has the kept commit, `busy.py` asks for processes, `restores.py` brings back.
The decisions are in docs/adr/0014-trees-and-keeping.md.
"""

from fleet.adapters.git.removals import GitRemovals
from fleet.adapters.git.trees import GitTrees
from fleet.adapters.git.workspaces import GitWorkspaces

__all__ = ["GitRemovals", "GitTrees", "GitWorkspaces"]
