"""Two machines on one disk: the server, and a host whose adapters are on another root, with a transfer in between."""

import shutil
from pathlib import Path
from typing import cast

from msgspec.structs import replace

from fleet.adapters.git import GitRemovals, GitTransfer, GitTrees, GitWorkspaces
from fleet.adapters.travel import Head, HostAdapters, Repositories, Travelling, travelling
from fleet.errors import Unavailable
from fleet.ports import Collected, MirrorOffer, Parcel, PreservedWork, WorkspaceSpec
from tests.adapters.git.test_removals import RemovalWorld
from tests.adapters.git.world import git

__all__ = ["CountedTransfer", "HostWorld", "Machine", "TravelWorld", "git", "refs"]


class Machine:
    """The adapters of one host on its own root, and their ports as the server uses them."""

    def __init__(self, world: "HostWorld", name: str) -> None:
        self.name = name
        self.root = world.base / name
        for below in ("mirrors", "workspaces"):
            (self.root / below).mkdir(parents=True, exist_ok=True)
        trees = GitTrees(self.root / "trees")
        workspaces = GitWorkspaces(self.root / "workspaces", [self.root / "mirrors"])
        self.transfer = world.between(GitTransfer(self.root, trees))
        node = HostAdapters(workspaces, trees, GitRemovals(workspaces), self.transfer)
        self.ports: Travelling = travelling(
            name,
            lambda: str(self.root),
            node,
            head=Head(world.server, world.server_trees),
            parcels=world.base / "fleet" / "parcels",
            repositories=world.repositories,
        )

    def destroy(self) -> None:
        """Lose the machine with everything on it."""
        shutil.rmtree(self.root)

    def mirror(self) -> Path:
        """Return its only mirror."""
        (mirror,) = (self.root / "mirrors").iterdir()
        return mirror


class HostWorld(RemovalWorld):
    """The ports of the host `n1`, for the contracts of the ports; `machine` makes other hosts."""

    repositories: Repositories = "bundle"

    def restart(self) -> None:
        self.server = GitWorkspaces(self.root, [self.allowed])
        self.server_trees = GitTrees(self.base / "fleet" / "trees")
        self.first = self.machine("n1")
        self.workspaces = cast(GitWorkspaces, self.first.ports.workspaces)  # the same port, as in a real server
        self.removals = cast(GitRemovals, self.first.ports.removals)
        self.trees = self.first.ports.trees

    def between(self, transfer: GitTransfer) -> GitTransfer:
        """Return what is between the server and a host. Tests override it."""
        return transfer

    def machine(self, name: str) -> Machine:
        return Machine(self, name)


class CountedTransfer(GitTransfer):
    """Counts what is sent, and can break it: each of `faults` is used up by one call of its name."""

    def __init__(self, transfer: GitTransfer) -> None:
        self.__dict__ |= transfer.__dict__
        self.sent_bytes = 0
        self.unpacked_early = 0
        self.faults: list[str] = []
        self.extra_refs: dict[str, str] = {}
        self.announced_bytes: int | None = None

    async def put(self, name: str, offset: int, piece: memoryview) -> int:
        self.sent_bytes += len(piece)
        self._break("put")
        if self._has("damaged piece"):
            piece = memoryview(bytes(piece[:-1]) + b"?")
        if self._has("twice"):
            await super().put(name, offset, piece)
        written = await super().put(name, offset, piece)
        self._break("put, no answer")
        return written

    async def unpack(self, key: str, object_format: str, name: str) -> None:
        if "older agent" in self.faults:
            raise LookupError("Transfer has no method 'unpack'")
        await super().unpack(key, object_format, name)

    async def receive(self, key: str, offer: MirrorOffer, parcel: Parcel | None) -> bool:
        self._break("receive")
        if parcel is not None and parcel.sent_as:
            if self._has("older agent"):  # it knows a parcel by its own name
                parcel = replace(parcel, sent_as="")
            self.unpacked_early += self._unpacked.get(key, (None,))[0] == parcel.sent_as
        received = await super().receive(key, offer, parcel)
        self._break("receive, no answer")
        return received

    async def read(self, name: str, offset: int, count: int) -> bytes:
        self._break("read")
        return await super().read(name, offset, count)

    async def collect(self, key: str, workspace_id: str, had: tuple[str, ...], *, whole: bool) -> Collected:
        collected = await super().collect(key, workspace_id, had, whole=whole)
        packed = collected.packed
        if self.announced_bytes is not None and packed.parcel is not None:
            packed = replace(packed, parcel=replace(packed.parcel, size_bytes=self.announced_bytes))
        return replace(collected, refs={**collected.refs, **self.extra_refs}, packed=packed)

    def _has(self, fault: str) -> bool:
        if self.faults[:1] != [fault]:
            return False
        self.faults.pop(0)
        return True

    def _break(self, fault: str) -> None:
        if self._has(fault):
            raise Unavailable("host_unreachable", f"broken at {fault}")


class TravelWorld(HostWorld):
    def between(self, transfer: GitTransfer) -> CountedTransfer:
        self.transfer = CountedTransfer(transfer)
        return self.transfer

    async def moved(self, spec: WorkspaceSpec, kept: PreservedWork) -> tuple[Machine, str]:
        """Lose the host `n1` and restore the workspace on `n2`. Return that, and the directory there."""
        self.first.destroy()
        second = self.machine("n2")
        await second.ports.removals.restore(spec, kept)
        return second, f"{second.root}/workspaces/{spec.workspace_id}/shop"


def refs(repository: str, below: str) -> dict[str, str]:
    listed = git(repository, "for-each-ref", "--format=%(refname) %(objectname)", below)
    return dict(line.split(" ") for line in listed.splitlines())
