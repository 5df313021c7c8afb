"""The courier: brings repositories and trees to a host, and what was made there back to the server.

In both directions, the receiver says what it has and gets the rest in pieces. It accepts only what is complete.
Otherwise everything is sent again; after `PARCEL_TRIES_MAX` attempts the transfer has failed, and nothing has changed.
"""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import structlog
import trio
from msgspec.structs import replace

from fleet.adapters.git import mirror_offers, packs, returned_refs
from fleet.adapters.git.parcels import Parcels
from fleet.adapters.git.trees import GitTrees
from fleet.adapters.git.workspaces import GitWorkspaces
from fleet.adapters.travel.places import key_of
from fleet.errors import Problem
from fleet.keyed_locks import Locks
from fleet.limits import PARCEL_PIECE_BYTES, PARCEL_POLL_S, PARCEL_TRIES_MAX
from fleet.ports import MirrorOffer, Packed, Parcel, Source, Transfer, WorkspaceSpec

_log = structlog.get_logger(__name__)

Repositories = Literal["bundle", "origin"]
"""Where a host gets repositories: from the server, or first from the address of `origin`, with its own access."""

PutFile = Callable[[str, int, Path], Awaitable[int]]
"""Does what `Transfer.put` does, with the piece that a file of the server has at the offset."""


class Head(NamedTuple):
    """The server's own adapters."""

    workspaces: GitWorkspaces
    trees: GitTrees


class Courier:
    """Moves objects between the server and the host `host`. `parcels` is a directory of the server, made on first use.

    Every method raises `Problem` git_failed, and the errors of `Transfer`.
    """

    def __init__(
        self,
        host: str,
        transfer: Transfer,
        head: Head,
        parcels: Path,
        repositories: Repositories = "bundle",
        *,
        put_file: PutFile | None = None,
    ) -> None:
        self.host = host
        self.transfer = transfer
        self._head = head.workspaces
        self._trees = head.trees
        self._parcels = Parcels(parcels)
        self._from_origin = repositories == "origin"
        self._locks = Locks()
        self._put = put_file or self._read_and_put

    async def deliver(self, source: Source, repository: str, also: Mapping[str, str]) -> None:
        """Bring the host's mirror up to date with a repository, and give it the refs `also`."""
        key, objects = key_of(repository), packs.Objects(repository)
        async with self._locks.hold(key):
            offer = await mirror_offers.offer_of(source, repository, also)
            state = await self.transfer.state(key, offer.digest)
            if state.is_current:
                return
            if self._from_origin and await self._fetch_origin(source, repository, key, offer.object_format):
                state = await self.transfer.state(key, offer.digest)
            had = state.tips
            for attempt in range(PARCEL_TRIES_MAX):
                parcel = await self._pack_and_send(objects, key, offer, had, early=attempt == 0)
                if await self.transfer.receive(key, offer, parcel):
                    return
                had = ()
        raise self._failed(f"the repository {repository!r}")

    async def bring(self, repository: str, workspace_id: str) -> None:
        """Bring what the host has changed in its mirror, and what it has preserved of the workspace."""
        key, objects = key_of(repository), packs.Objects(repository)
        async with self._locks.hold(key):
            had, whole = await returned_refs.taken(repository, self.host, workspace_id), False
            for _ in range(PARCEL_TRIES_MAX):
                collected = await self.transfer.collect(key, workspace_id, had, whole=whole)
                wanted = tuple(sorted(set(collected.refs.values()) - set(had)))
                async with self._fetched(collected.packed) as (arrived, file):
                    stored = arrived and (not wanted or await packs.store(objects, file, wanted, None))
                if stored:
                    async with self._head.locks.hold(repository):
                        await returned_refs.take(repository, self.host, workspace_id, collected.refs)
                    return
                had, whole = (), True
        raise self._failed(f"the work of workspace {workspace_id!r}")

    async def place(self, repository: str, workspace_id: str, commit: str | None) -> None:
        """Record that the host has a workspace now, and no other host."""
        async with self._head.locks.hold(repository):
            await returned_refs.place(repository, self.host, workspace_id, commit)

    async def release(self, repository: str, spec: WorkspaceSpec, kept: str | None) -> None:
        """Remove from the repository what belongs to a workspace that the host no longer has."""
        async with self._head.locks.hold(repository):
            await returned_refs.release(repository, self.host, spec, kept)

    async def bring_tree(self, workspace_id: str, tree: str) -> None:
        """Bring a tree of a workspace into the server's store."""
        async with self._locks.hold(f"tree {workspace_id}"):
            had = await self._trees.complete(workspace_id)
            if tree in had:
                return
            for _ in range(0 if await self._trees.has(workspace_id, tree, had) else PARCEL_TRIES_MAX):
                async with self._fetched(await self.transfer.pack_tree(workspace_id, tree, had)) as (arrived, file):
                    received = arrived and await self._trees.receive(workspace_id, tree, file, had)
                if received:
                    break
                had = ()
            else:
                if not await self._trees.has(workspace_id, tree, had):
                    raise self._failed(f"the tree {tree[:12]}")
            await self._trees.note_complete(workspace_id, tree)

    async def deliver_tree(self, origin_id: str, workspace_id: str, tree: str, directory: str) -> None:
        """Bring a tree of the workspace `origin_id` into the host's store of another one, checked out in `directory`.

        Raises `Problem` tree_gone if the server no longer has it.
        """
        async with self._locks.hold(f"tree {workspace_id}"):
            had = await self.transfer.tree_bases(directory)
            for _ in range(PARCEL_TRIES_MAX):
                parcel = await self._send(await self._trees.pack(origin_id, tree, had, await self._parcels.directory()))
                if await self.transfer.receive_tree(workspace_id, directory, tree, parcel):
                    return
                had = ()
        raise self._failed(f"the tree {tree[:12]}")

    async def _fetch_origin(self, source: Source, repository: str, key: str, object_format: str) -> bool:
        url = await mirror_offers.origin_of(source, repository)
        if url is None:
            return False
        try:
            await self.transfer.fetch_origin(key, url, object_format)
        except Problem as problem:
            if problem.code != "git_failed":
                raise
            _log.warning("origin_not_fetched", host=self.host, why=problem.detail)
            return False
        return True

    async def _pack_and_send(
        self, objects: packs.Objects, key: str, offer: MirrorOffer, had: tuple[str, ...], *, early: bool
    ) -> Parcel | None:
        """Send what a mirror lacks, and return what the host gets; with `early`, a large pack as git makes it."""
        wanted, sent = tuple(sorted(offer.objects - set(had))), 0
        name = hashlib.sha256("\n".join((key, *wanted, "", *had)).encode()).hexdigest()

        async def send(file: Path, complete: trio.Event) -> None:
            nonlocal sent
            async with trio.open_nursery() as nursery:
                try:
                    while not (is_whole := complete.is_set()) or sent:
                        ready_bytes = await self._parcels.size(file) - sent
                        if ready_bytes >= PARCEL_PIECE_BYTES or (is_whole and ready_bytes > 0):
                            if not sent:
                                nursery.start_soon(self._unpack, key, offer.object_format, name)
                            sent = await self._put(name, sent, file)
                        elif is_whole:
                            break
                        else:
                            with trio.move_on_after(PARCEL_POLL_S):
                                await complete.wait()
                except Problem:  # it is met again when the rest is sent
                    nursery.cancel_scope.cancel()

        made = await packs.pack(objects, await self._parcels.directory(), wanted, had, send if early else None)
        return await self._send(made, name, sent) if sent else await self._send(made)

    async def _unpack(self, key: str, object_format: str, name: str) -> None:
        try:
            await self.transfer.unpack(key, object_format, name)
        except Exception as error:  # an older agent has no such method, and all of them can store it later
            _log.info("not_unpacked_early", host=self.host, why=str(error))

    async def _send(self, made: packs.NewParcel | None, sent_as: str = "", sent: int = 0) -> Parcel | None:
        """Send the rest of a parcel of the server, delete it here and return what the host gets."""
        if made is None:
            return None
        try:
            while sent < made.parcel.size_bytes:
                sent = await self._put(sent_as or made.parcel.name, sent, made.file)
        finally:
            await self._parcels.delete(made.file)
        return replace(made.parcel, sent_as=sent_as)

    async def _read_and_put(self, name: str, offset: int, file: Path) -> int:
        return await self.transfer.put(name, offset, memoryview(await self._parcels.piece(file, offset)))

    @asynccontextmanager
    async def _fetched(self, packed: Packed) -> AsyncGenerator[tuple[bool, Path | None]]:
        """Yield whether a parcel of the host has arrived complete, and its file; None if nothing had to be sent."""
        parcel = packed.parcel
        if parcel is None:
            yield True, None
            return
        await self._parcels.require_room(parcel)
        file, piece, offset = await self._parcels.new(), packed.first, 0
        try:
            while piece and offset <= parcel.size_bytes:
                await self._parcels.add(file, piece)
                offset += len(piece)
                more = offset < parcel.size_bytes
                piece = await self.transfer.read(parcel.name, offset, PARCEL_PIECE_BYTES) if more else b""
            if len(packed.first) < parcel.size_bytes:
                await self.transfer.drop(parcel.name)
            yield await self._parcels.is_whole(file, parcel), file
        finally:
            await self._parcels.delete(file)

    def _failed(self, what: str) -> Problem:
        return Problem(
            "git_failed",
            f"{what} could not be moved between the server and the host {self.host!r}: parts of it are missing",
            hint="Run `git fsck` in the repository, repair what it reports, then try again.",
        )
