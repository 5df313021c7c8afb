"""The port for transfers: git objects travel between the server and another host as packs, in pieces.

The host has a mirror of each repository, named by a key, and a store of trees for each workspace. A pack has what the
receiver lacks. It travels as a parcel, a file that is named by its content, so every call can be repeated: a transfer
that was interrupted continues, and one that arrives twice changes nothing. Nothing here runs a hook or a program.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec


class Parcel(msgspec.Struct, frozen=True):
    """A pack as a file. `name` is the SHA-256 of its bytes in hexadecimal.

    `sent_as` is the name that its pieces had, because the first ones were sent before the last one was known.
    """

    name: str
    size_bytes: int
    sent_as: str = ""


class Packed(msgspec.Struct, frozen=True):
    """A parcel on the host and its first bytes. If these are all, the host has deleted it. None: nothing is needed."""

    parcel: Parcel | None = None
    first: bytes = b""


class Collected(msgspec.Struct, frozen=True):
    """What a mirror has that the server did not give it: refs by name, and a pack with their objects."""

    refs: Mapping[str, str]
    packed: Packed


class MirrorOffer(msgspec.Struct, frozen=True):
    """A repository as the server has it, without hooks, programs and passwords.

    `digest` identifies the offer. `refs` are objects by ref name; `also` are refs that only the mirror needs, or needs
    at another object. `branch` is the branch of its `HEAD`. `shallow` are commits without their parents.
    `configuration` is in git's format. `exclude` is its `info/exclude`.
    """

    digest: str
    refs: Mapping[str, str]
    branch: str | None
    object_format: str
    also: Mapping[str, str] = {}
    shallow: tuple[str, ...] = ()
    configuration: bytes = b""
    exclude: bytes = b""

    @property
    def objects(self) -> frozenset[str]:
        """The objects that the mirror needs, with everything that they refer to."""
        return frozenset((*self.refs.values(), *self.also.values()))


class MirrorState(msgspec.Struct, frozen=True):
    """A mirror. `is_current`: it has the offer with that digest. Otherwise `tips` are the objects that it has."""

    is_current: bool
    tips: tuple[str, ...] = ()


class Transfer(Protocol):
    """The mirrors and trees of one host. Every method raises `Problem` git_failed if git fails there."""

    async def state(self, key: str, digest: str) -> MirrorState:
        """Return the state of a mirror, compared with the offer of that digest."""
        ...

    async def put(self, name: str, offset: int, piece: memoryview) -> int:
        """Write a piece of a parcel. Return where the next piece begins: earlier if a piece before it is missing."""
        ...

    async def unpack(self, key: str, object_format: str, name: str) -> None:
        """Store the objects of a parcel in the mirror while its pieces arrive, so that `receive` has less to do.

        Without it, or if it fails, `receive` stores them.
        """
        ...

    async def receive(self, key: str, offer: MirrorOffer, parcel: Parcel | None) -> bool:
        """Make the mirror or bring it up to date. Work that only the host has stays.

        False: the parcel is damaged or does not complete what the mirror has; nothing has changed, and the server has
        to send everything.
        """
        ...

    async def fetch_origin(self, key: str, url: str, object_format: str) -> None:
        """Fetch objects into the mirror from this address, with the host's own access."""
        ...

    async def collect(self, key: str, workspace_id: str, had: tuple[str, ...], *, whole: bool) -> Collected:
        """Return branches and tags that the host has changed, and what `keep` preserved of the workspace.

        The server has the objects in `had`, and those of its last offer unless `whole`.
        """
        ...

    async def pack_tree(self, workspace_id: str, tree: str, had: tuple[str, ...]) -> Packed:
        """Pack a tree of a workspace without what is in the trees `had`. Raises `Problem` tree_gone."""
        ...

    async def tree_bases(self, directory: str) -> tuple[str, ...]:
        """Return trees that a store of the workspace at `directory` can read: that of the checked-out commit."""
        ...

    async def receive_tree(self, workspace_id: str, directory: str, tree: str, parcel: Parcel | None) -> bool:
        """Store a tree for a workspace. False: the parcel is damaged or not complete, as in `receive`."""
        ...

    async def read(self, name: str, offset: int, count: int) -> bytes:
        """Return a piece of a parcel on the host. Raises `Problem` git_failed if it no longer exists."""
        ...

    async def drop(self, name: str) -> None:
        """Delete a parcel on the host. Idempotent."""
        ...

    async def adopt(self, key: str, directory: str) -> None:
        """Let the mirror of the worktree at `directory` have this key too: its repository was moved. Idempotent."""
        ...
