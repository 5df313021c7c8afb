"""What the agent of a machine serves beside the ports of its adapters, and the options that it starts with."""

from collections.abc import Mapping
from typing import Final, Literal, Protocol

import msgspec

from fleet.ports import (
    Files,
    HostInfo,
    OpenCodeHost,
    ProcessIdentity,
    Recipe,
    Removals,
    Script,
    ScriptEnd,
    Shells,
    Transfer,
    Trees,
    Workspaces,
)

Reach = Literal["direct", "agent"]
"""How the server reaches OpenCode: at the host's address, or through its agent."""


class Options(msgspec.Struct, frozen=True):
    """What an agent has to know. `data_id` is the id of the server's data directory.

    `lease_s` is how long OpenCode runs without the server. With `reach` "agent" it listens on the loopback address.
    """

    host: str
    version: str
    lease_s: float
    data_id: str | None = None
    reach: Reach = "direct"


class Beat(msgspec.Struct, frozen=True):
    """The answer to a heartbeat: what the host says of itself, and the token for the next one.

    `lease_s` is how long its processes run without the server: an agent keeps the options that it was started with.
    `memory_bytes` and `suspended` are of the processes that were asked for, in the same order.
    """

    info: HostInfo
    token: str
    lease_s: float
    memory_bytes: tuple[int | None, ...]
    suspended: tuple[bool, ...]
    scripts: tuple[str, ...]


class ScriptOutput(msgspec.Struct, frozen=True):
    """The output of a script from an offset on, in characters. `end` is set when there is no more."""

    text: str
    end: ScriptEnd | None = None


class Machine(Protocol):
    """The machine itself."""

    async def beat(self, token: str, processes: tuple[ProcessIdentity, ...]) -> Beat:
        """Renew the lease up to the answer that had this token ("": none), and answer."""
        ...

    async def offer_rehearsal(self, offered: bool) -> None:
        """Serve the rehearsal model and configure OpenCode for it, or neither. Idempotent."""
        ...

    async def password(self, instance_id: str) -> str:
        """Return the password of an OpenCode process. Raises `Unavailable` opencode_unreachable."""
        ...


class ScriptRuns(Protocol):
    """Set-ups that run on the machine."""

    async def read(self, directory: str) -> Recipe | None:
        """See `Scripts.read`."""
        ...

    async def start(self, script: Script) -> None:
        """Start a script, or do nothing if it has been started; another one with its marker is ended first."""
        ...

    async def output(self, marker: str, offset: int) -> ScriptOutput:
        """Wait for output beyond `offset`, or for the end. Raises the `Problem` that the run has raised.

        Raises `Unavailable` host_unreachable if this agent has not started it: an earlier one has ended with it.
        """
        ...

    async def forget(self, marker: str) -> None:
        """End a script if it runs, and forget its output. Idempotent."""
        ...


class Tunnel(Protocol):
    """Connections to programs of the machine, for a server that cannot reach them."""

    async def dial(self, stream: str, address: str, port: int) -> None:
        """Connect the stream of this id to an address of the machine. Raises `Unavailable` opencode_unreachable."""
        ...

    async def send(self, stream: str, data: bytes) -> None:
        """Write bytes. Raises `Unavailable` opencode_unreachable if the connection is closed."""
        ...

    async def receive(self, stream: str) -> bytes:
        """Wait for bytes; none if the connection is closed."""
        ...

    async def hang_up(self, stream: str) -> None:
        """Close the connection. Idempotent."""
        ...


PORTS: Final[Mapping[str, type]] = {
    "opencode": OpenCodeHost,
    "workspaces": Workspaces,
    "trees": Trees,
    "removals": Removals,
    "transfer": Transfer,
    "files": Files,
    "shells": Shells,
    "scripts": ScriptRuns,
    "machine": Machine,
    "tunnel": Tunnel,
}
"""The ports of an agent by name."""
