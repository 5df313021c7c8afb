"""Notes in each mirror which workspaces are made from it, and removes mirrors that none has used for a while.

A worktree is registered with its mirror, a clone is not: without its mirror its work could not be preserved. So each
workspace leaves a note when its work is brought to the server, as it is right after it was made. A mirror without
notes is of an earlier version, and stays.
"""

import os
import shutil
import time
from pathlib import Path
from typing import Final

from fleet.core.paths import directory_name
from fleet.limits import MIRROR_UNUSED_S

_NOTES: Final = "fleet-workspaces"


def note(mirror: Path, workspace_id: str) -> None:
    """Note that a workspace uses the mirror now. A disk that refuses the note keeps no work from being brought."""
    notes = mirror / _NOTES
    try:
        notes.mkdir(mode=0o700, exist_ok=True)
        (notes / directory_name(workspace_id)).touch(mode=0o600)
        os.utime(notes)
    except OSError:
        return


def mirrors_in(directory: Path) -> list[Path]:
    """Return the mirrors in a directory; links of moved repositories to them are no mirrors."""
    try:
        return sorted(each for each in directory.iterdir() if each.suffix == ".git" and not each.is_symlink())
    except OSError:
        return []


def remove_unused(mirror: Path, workspaces: Path) -> bool:
    """Remove the mirror if no workspace needs it and none has for `MIRROR_UNUSED_S`; return whether it is removed."""
    try:
        noted = [each.name for each in (mirror / _NOTES).iterdir()]
        used_s = (mirror / _NOTES).stat().st_mtime
        registered = [each for each in (mirror / "worktrees").glob("*/gitdir") if _exists(each)]
    except OSError:
        return False
    in_use = registered or any((workspaces / each).exists() for each in noted)
    if in_use or time.time() - used_s < MIRROR_UNUSED_S:
        return False
    gone = mirror.with_suffix(".gone")  # a half-removed mirror would be used again
    try:
        mirror.rename(gone)
    except OSError:
        return False
    shutil.rmtree(gone, ignore_errors=True)
    return True


def _exists(registration: Path) -> bool:
    """Return whether the worktree of a registration still exists."""
    return Path(registration.read_text().strip()).exists()
