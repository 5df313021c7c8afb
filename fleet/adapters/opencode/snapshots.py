"""Deletes OpenCode's snapshots of a work tree: bare repositories, in which its steps keep the contents of files.

OpenCode does not delete them with a session. The name of such a repository is the SHA-1 of the work tree's path, below
the id of its project.
"""

import hashlib
import shutil
from pathlib import Path


def forget_snapshots(store: Path, directory: str) -> None:
    """Delete the snapshots of this work tree in OpenCode's `store`, unless the work tree exists. Raises `OSError`."""
    if Path(directory).exists():
        return
    name = hashlib.sha1(directory.encode(), usedforsecurity=False).hexdigest()
    for repository in (store / "snapshot").glob(f"*/{name}"):
        if not repository.is_symlink():
            shutil.rmtree(repository)
