"""The ports `Workspaces`, `Trees` and `Removals`, implemented with git.

Only `command.py` runs git. `workspaces.py` implements its port; `repository.py` reads repositories; `branches.py`
refuses bad branches and bases; `worktrees.py` and `clones.py` make and remove checkouts; `pristine_check.py` verifies
that a checkout holds no work; `clone_config.py`, `sparse.py` and `includes.py` copy what git does not, and
`not_carried.py` lists what is missing; `files.py` has file operations. Each repository has a lock. The decisions are in
docs/adr/0004-workspaces.md.

`trees.py` implements snapshots: `checkout_location.py` finds the checkout of a directory, `snapshot_repository.py` has
Fleet's own git directories, `snapshot.py` reads files into them by the rules of `ignore_rules.py`, and `tree_diff.py`
compares. `removals.py` implements removal without loss: `inventory.py` and `unique_commits.py` find what exists only in
a workspace, `preservation_commit.py` writes the commit, `open_processes.py` finds processes, and `restores.py`
restores. The decisions are in docs/adr/0014-trees-and-keeping.md.

`transfer.py` is a host's end of transfers (`parcels.py`, `packs.py`): it has `mirrors.py`. The server's end is in
fleet/adapters/travel: it uses `mirror_offers.py` and `returned_refs.py`. The decisions are in docs/adr/0047-travel.md.
"""

from fleet.adapters.git.removals import GitRemovals
from fleet.adapters.git.transfer import GitTransfer
from fleet.adapters.git.trees import GitTrees
from fleet.adapters.git.workspaces import GitWorkspaces

__all__ = ["GitRemovals", "GitTransfer", "GitTrees", "GitWorkspaces"]
