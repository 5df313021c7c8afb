"""The `Transfer` port on a host: its mirrors, and the trees of its workspaces."""

import os
from functools import partial
from pathlib import Path
from typing import Final

import structlog
import trio

from fleet.adapters.git import mirror_use, mirrors
from fleet.adapters.git.checkout_location import locate
from fleet.adapters.git.command import Output
from fleet.adapters.git.files import exists
from fleet.adapters.git.packs import Objects, index_arriving, pack
from fleet.adapters.git.parcels import Parcels
from fleet.adapters.git.repository import read_source
from fleet.adapters.git.trees import GitTrees
from fleet.core.paths import is_inside
from fleet.errors import Problem
from fleet.keyed_locks import Locks
from fleet.ports import Collected, MirrorOffer, MirrorState, Packed, Parcel

_log = structlog.get_logger(__name__)

MIRRORS: Final = "mirrors"
WORKSPACES: Final = "workspaces"
TREES: Final = "trees"
PARCELS: Final = "parcels"


class GitTransfer:
    """Mirrors and parcels below `root`, and the stores of `trees`. One change of a mirror at a time."""

    def __init__(self, root: Path, trees: GitTrees) -> None:
        self._mirrors = Path(os.path.realpath(root), MIRRORS)
        self._parcels = Parcels(Path(os.path.realpath(root), PARCELS))
        self._workspaces = Path(os.path.realpath(root), WORKSPACES)
        self._trees = trees
        self._locks = Locks()
        self._unpacked: dict[str, tuple[str, Output]] = {}  # the parcel that was stored last in a mirror, and how

    async def state(self, key: str, digest: str) -> MirrorState:
        """Return the state of a mirror (see the port)."""
        async with self._locks.hold(key):
            return MirrorState(*await mirrors.state(self._mirror(key), digest))

    async def put(self, name: str, offset: int, piece: memoryview) -> int:
        """Write a piece of a parcel (see the port)."""
        return await self._parcels.put(name, offset, piece)

    async def unpack(self, key: str, object_format: str, name: str) -> None:
        """Store the objects of a parcel that arrives (see the port)."""
        async with self._locks.hold(key):
            await mirrors.make(self._mirror(key), object_format)
            stored = await index_arriving(Objects(self._mirror(key)), partial(self._parcels.follow, name))
            if stored.code in {0, 1}:
                self._unpacked[key] = (name, stored)

    async def receive(self, key: str, offer: MirrorOffer, parcel: Parcel | None) -> bool:
        """Make the mirror or bring it up to date (see the port)."""
        async with self._locks.hold(key):
            name, stored = self._unpacked.pop(key, ("", None))
            if parcel is not None and stored is not None and name == parcel.sent_as:
                await self._parcels.drop(name)
                return await mirrors.receive(self._mirror(key), offer, None, stored)
            file = await self._parcels.claim(parcel)
            if parcel is not None and file is None:
                is_current, _ = await mirrors.state(self._mirror(key), offer.digest)
                return is_current  # it arrived before
            try:
                return await mirrors.receive(self._mirror(key), offer, file)
            finally:
                await self._parcels.delete(file)

    async def fetch_origin(self, key: str, url: str, object_format: str) -> None:
        """Fetch objects into the mirror from an address (see the port)."""
        async with self._locks.hold(key):
            await mirrors.make(self._mirror(key), object_format)
            await mirrors.fetch_origin(self._mirror(key), url)

    async def collect(self, key: str, workspace_id: str, had: tuple[str, ...], *, whole: bool) -> Collected:
        """Return what the host has changed (see the port)."""
        mirror = self._mirror(key)
        async with self._locks.hold(key):
            if not await exists(f"{mirror}/HEAD"):
                return Collected({}, Packed())
            await trio.to_thread.run_sync(mirror_use.note, Path(mirror), workspace_id)
            refs, given = await mirrors.changed(mirror, workspace_id)
            wanted = tuple(sorted(set(refs.values()) - set(had)))
            known = had if whole else (*had, *given)
            made = await pack(Objects(mirror), await self._parcels.directory(), wanted, known)
            return Collected(refs, await self._parcels.packed(made))

    async def pack_tree(self, workspace_id: str, tree: str, had: tuple[str, ...]) -> Packed:
        """Pack a tree of a workspace (see the port)."""
        made = await self._trees.pack(workspace_id, tree, had, await self._parcels.directory())
        return await self._parcels.packed(made)

    async def tree_bases(self, directory: str) -> tuple[str, ...]:
        """Return trees that a store of the workspace can read (see the port)."""
        place = await locate(directory)
        if place.git_directory is None or place.object_format != "sha1":
            return ()
        found = await Objects(place.git_directory).attempt("rev-parse", "--verify", "--quiet", "HEAD^{tree}")
        return (found.line,) if found.says_yes() else ()

    async def receive_tree(self, workspace_id: str, directory: str, tree: str, parcel: Parcel | None) -> bool:
        """Store a tree for a workspace (see the port)."""
        bases = await self.tree_bases(directory)
        file = await self._parcels.claim(parcel)
        if parcel is not None and file is None:
            return False
        try:
            return await self._trees.receive(workspace_id, tree, file, bases, directory=directory)
        finally:
            await self._parcels.delete(file)

    async def read(self, name: str, offset: int, count: int) -> bytes:
        """Return a piece of a parcel (see the port)."""
        return await self._parcels.read(name, offset, count)

    async def drop(self, name: str) -> None:
        """Delete a parcel (see the port)."""
        await self._parcels.drop(name)

    async def adopt(self, key: str, directory: str) -> None:
        """Let the mirror of a worktree have this key too (see the port)."""
        async with self._locks.hold(key):
            repository = (await read_source(directory)).repository
            if repository is None or not is_inside(repository, (str(self._mirrors),)):
                return
            mirror = self._mirror(key)
            if not await exists(mirror):
                await trio.Path(mirror).symlink_to(repository)

    async def tidy(self) -> None:
        """Remove the trees of workspaces that are gone, and mirrors that none has used for `MIRROR_UNUSED_S`."""
        await self._trees.tidy(self._workspaces)
        for mirror in await trio.to_thread.run_sync(mirror_use.mirrors_in, self._mirrors):
            async with self._locks.hold(mirror.name.removesuffix(".git")):
                if await trio.to_thread.run_sync(mirror_use.remove_unused, mirror, self._workspaces):
                    _log.info("mirror_removed", mirror=mirror.name)

    def _mirror(self, key: str) -> str:
        if Path(key).name != key or key in ("", ".", ".."):
            raise Problem("git_failed", f"{key!r} is not the key of a mirror")
        return f"{self._mirrors}/{key}.git"
