"""Translates places: those of the server into those of a host. The directory of a workspace has its id in both."""

import hashlib
from collections.abc import Callable
from pathlib import PurePath

from msgspec.structs import replace

from fleet.adapters.git.transfer import MIRRORS, WORKSPACES
from fleet.core.paths import directory_name, is_inside
from fleet.ports import WorkspaceSpec


def key_of(repository: str) -> str:
    """Return the key of a repository's mirror: its name, for people, and a part of the digest of its path."""
    path = PurePath(repository)
    name = path.parent.name if path.name == ".git" else path.name.removesuffix(".git")
    return f"{directory_name(name)}-{hashlib.sha256(repository.encode()).hexdigest()[:16]}"


class HostPlaces:
    """The places of the host `name`. `root` returns its directory; it may raise `Unavailable` host_unreachable."""

    def __init__(self, name: str, root: Callable[[], str]) -> None:
        self.name = name
        self._root = root

    @property
    def workspaces(self) -> str:
        """The directory below which workspaces are made."""
        return f"{self._root()}/{WORKSPACES}"

    def has(self, directory: str) -> bool:
        """Return whether a directory is on the host: below its root."""
        return is_inside(directory, (self._root(),))

    def directory(self, workspace_id: str, directory: str) -> str:
        """Return the directory of a workspace on the host, wherever else it was before."""
        return f"{self.workspaces}/{workspace_id}/{PurePath(directory).name}"

    def workspace_of(self, directory: str) -> str | None:
        """Return the id of the workspace that has this directory, None for any other directory."""
        if not is_inside(directory, (self.workspaces,)):
            return None
        parts = PurePath(directory).relative_to(self.workspaces).parts
        return parts[0] if parts else None

    def spec(self, spec: WorkspaceSpec, repository: str, base_ref: str | None = None) -> WorkspaceSpec:
        """Return the spec as the host gets it: made from the mirror of the source's repository, in its own place."""
        return replace(
            spec,
            source_directory=f"{self._root()}/{MIRRORS}/{key_of(repository)}.git",
            directory=self.directory(spec.workspace_id, spec.directory),
            base_ref=base_ref,
        )
