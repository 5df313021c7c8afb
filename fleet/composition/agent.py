"""The composition root of an agent: it combines the adapters of a machine into what its agent serves (adapters/ray).

Everything is below a root directory: FLEET_HOST_ROOT, or `~/.local/share/fleet-host`, then the id of the server's data
directory and the name of the host. OpenCode, which FLEET_OPENCODE or the PATH names, is started behind guards, so it
survives the agent.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec
import trio

from fleet.adapters.files import LocalFiles
from fleet.adapters.git import GitRemovals, GitTransfer, GitTrees, GitWorkspaces
from fleet.adapters.opencode.process import LocalOpenCodeHost
from fleet.adapters.opencode.shells import LocalShells
from fleet.adapters.ray.calls import Served
from fleet.adapters.ray.machine import PORTS, Options
from fleet.adapters.ray.presence import directory_of, hosts_root, lease_of
from fleet.adapters.ray.served import OwnMachine, OwnScripts, OwnTunnels, inherited_from_engine
from fleet.adapters.scripts import LocalScripts
from fleet.adapters.self_description import SelfDescription
from fleet.environment import passed_on
from fleet.limits import MIRROR_SWEEP_S
from fleet.private_files import make_private_directory
from fleet.rehearsal.offer import Offer, OfferOnDemand

_LOOPBACK: Final = "127.0.0.1"


@asynccontextmanager
async def open_node(encoded: bytes, address: str) -> AsyncGenerator[Served]:
    """Open the ports of this machine, whose address in the cluster is `address`."""
    options = msgspec.msgpack.decode(encoded, type=Options)
    root = directory_of(hosts_root(os.environ), options.data_id, options.host)
    make_private_directory(root)
    # A home directory may be on a file system that hosts share, where SQLite's locks of two machines do not meet.
    environment = {"OPENCODE_DB": str(root / "opencode.db"), **passed_on(inherited_from_engine(os.environ))}
    shells = LocalShells(root, environment)
    lease = lease_of(root, options.lease_s)
    opencode = LocalOpenCodeHost(
        root,
        os.environ.get("FLEET_OPENCODE"),
        environment=shells.environment(),
        data_id=options.data_id,
        address=_LOOPBACK if options.reach == "agent" else address,
        lease=lease,
    )
    opencode.sweep()
    opencode.hold()  # until the server says which models there are
    scripts = LocalScripts(root, environment, options.data_id)
    workspaces = GitWorkspaces(root / "workspaces", (root,))
    trees = GitTrees(root / "trees")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(opencode.enforce_lease)
        nursery.start_soon(opencode.learn_version)
        described = SelfDescription(
            options.host,
            epoch=uuid4().hex,
            root=root,
            opencode_version=lambda: opencode.known_version,
            address=address,
            engine_version=version("ray"),
        )
        offer = OfferOnDemand(Offer(root / "rehearsal.port"), opencode.configure, nursery).offer
        machine = OwnMachine(described.look, opencode, scripts, lease, offer)
        yield Served(
            PORTS,
            {
                "opencode": opencode,
                "workspaces": workspaces,
                "trees": trees,
                "removals": GitRemovals(workspaces),
                "transfer": await nursery.start(_tidied, root, trees),
                "files": LocalFiles(),
                "shells": shells,
                "scripts": OwnScripts(scripts, nursery),
                "machine": machine,
                "tunnel": OwnTunnels(),
            },
        )
        nursery.cancel_scope.cancel()


async def _tidied(root: Path, trees: GitTrees, *, task_status: trio.TaskStatus[GitTransfer]) -> None:
    """Start with the mirrors of this machine, and remove unused ones from time to time."""
    transfer = GitTransfer(root, trees)
    task_status.started(transfer)
    while True:
        await transfer.tidy()
        await trio.sleep(MIRROR_SWEEP_S)
