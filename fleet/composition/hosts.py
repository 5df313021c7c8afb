"""The part of the composition root that is about hosts: the server's machine alone, or those of a Ray cluster too.

Nothing of the engine is imported unless it is configured.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast
from uuid import uuid4

import trio

from fleet import __version__
from fleet.actors.runtime.child import ChildSpec
from fleet.adapters.local_hosts import LocalHosts
from fleet.adapters.self_description import SelfDescription
from fleet.config import Config
from fleet.core.hosts import State
from fleet.errors import StartupError
from fleet.limits import HOST_GRACE_MARGIN_S
from fleet.ports import LOCAL, Host, Hosts

if TYPE_CHECKING:
    from fleet.adapters.git import GitTrees, GitWorkspaces
    from fleet.adapters.ray.hosts import RayHosts


class HostsEngine:
    """The hosts of one server. `local` has the adapters of its machine, `known` returns what the log says of hosts.

    Raises `StartupError` if the configuration lacks the address of the cluster.
    """

    def __init__(
        self,
        config: Config,
        local: Host,
        environment: Mapping[str, str],
        data_id: str | None,
        known: Callable[[], State | None],
    ) -> None:
        described = SelfDescription(
            LOCAL, epoch=uuid4().hex, root=config.data_dir, opencode_version=lambda: local.opencode.known_version
        )
        alone = LocalHosts(local, described.look)
        self._ray = _ray_hosts(config, alone, environment, data_id, known) if config.hosts == "ray" else None
        self.hosts: Hosts = alone if self._ray is None else self._ray

    def children(self) -> tuple[ChildSpec, ...]:
        """Return what runs the engine, nothing without one."""
        return () if self._ray is None else (ChildSpec("hosts", self._run),)

    def offer_rehearsal(self, *, offered: bool) -> None:
        """Have other hosts offer the rehearsal model, or not; until then they start no OpenCode."""
        if self._ray is not None:
            self._ray.offer_rehearsal(offered=offered)

    async def _run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        if self._ray is None:
            raise TypeError("there is no engine")
        async with trio.open_nursery() as nursery:
            await nursery.start(self._ray.run)
            task_status.started()
            await stopping.wait()
            nursery.cancel_scope.cancel()


def lease_s(config: Config) -> float:
    """Return how long OpenCode runs on a host that does not hear the server: it has ended before the host is lost."""
    return config.host_grace_s - HOST_GRACE_MARGIN_S


def _ray_hosts(
    config: Config,
    alone: LocalHosts,
    environment: Mapping[str, str],
    data_id: str | None,
    known: Callable[[], State | None],
) -> "RayHosts":
    from functools import partial

    from fleet.adapters.ray.engine import sidecar
    from fleet.adapters.ray.frames import namespace_of
    from fleet.adapters.ray.host import HeadPorts, ray_host
    from fleet.adapters.ray.hosts import RayHosts
    from fleet.adapters.ray.machine import Options
    from fleet.adapters.travel import Head

    if config.ray_address is None:
        raise StartupError("--hosts ray needs the address of the cluster's head: give --ray-address HOST:6379.")
    local = alone.host(LOCAL)
    head = Head(cast("GitWorkspaces", local.workspaces), cast("GitTrees", local.trees))  # as `local_host` made them
    own = HeadPorts(head, config.data_dir / "parcels", config.host_repositories, config.host_reach)
    return RayHosts(
        sidecar(config.ray_address, environment, namespace_of(data_id)),
        alone,
        partial(ray_host, own=own),
        Options("", __version__, lease_s(config), data_id, config.host_reach),
        known=lambda: () if (state := known()) is None else state.hosts,
    )
