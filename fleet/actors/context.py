"""The context that all actors of one Fleet share: ports, views, each other's addresses, live connections.

Made once by supervision.py. An actor asks another only through `actors`, reads only from `views`, and reaches OpenCode
only through `connections`, which the instance's own actor opens and closes.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Literal

import msgspec
import trio

from fleet.actors.port_errors import with_problems
from fleet.actors.runtime.aggregate import Deliver, StateReply
from fleet.actors.runtime.registry import ActorRegistry
from fleet.actors.runtime.retry import Patience, persist
from fleet.core import hosts, server, trust
from fleet.core import workspace_roots as roots
from fleet.core.instance import state as instance_state
from fleet.core.instance.commands import InstanceCommand
from fleet.core.session import state as session_state
from fleet.core.session.commands import SessionCommand
from fleet.core.session.values import NewTurnIds
from fleet.core.webhook import state as webhook_state
from fleet.core.webhook.commands import WebhookCommand
from fleet.core.workspace.commands import WorkspaceCommand
from fleet.core.workspace.state import State
from fleet.errors import Unavailable
from fleet.events.blobs import Blobs
from fleet.events.log import Log
from fleet.limits import (
    CONNECT_TIMEOUT_S,
    HOST_CPUS,
    HOST_GRACE_MARGIN_S,
    HOST_GRACE_S,
    HOST_MEMORY_MB,
    IDLE_TIMEOUT_S,
    INSTANCES_MAX,
    MEMORY_FREE_BYTES_MIN,
)
from fleet.ports import LOCAL, Clock, Host, HostInfo, HostPorts, Hosts, Ids, OpenCode, WebhookSecrets, WebhookSender
from fleet.projections.inflight import InFlight
from fleet.projections.views import Views

SessionReply = StateReply[session_state.State]
InstanceReply = StateReply[instance_state.State]
WorkspaceReply = StateReply[State]
RootsReply = StateReply[roots.State]
TrustReply = StateReply[trust.State]
ServerReply = StateReply[server.State]
HostsReply = StateReply[hosts.State]
WebhookReply = StateReply[webhook_state.State]


class Ports(msgspec.Struct, frozen=True):
    """The ports of a Fleet: its ways to the outside world."""

    clock: Clock
    ids: Ids
    hosts: Hosts
    webhook_secrets: WebhookSecrets
    sender: WebhookSender


class Policy(msgspec.Struct, frozen=True):
    """The operator's choices: which sessions share a process, the limit of processes, when idle ones stop.

    `memory_free_bytes_min` must be free when a process is started. An idle process stops after `idle_timeout_s`.
    Sessions may work below `workspace_roots`, which are real paths. Sessions that ended longer than
    `keep_transcripts_s` ago are erased; None: never. A session that does not say how much room it needs on another host
    gets `host_cpus` cores and `host_memory_mb` MiB. A host that has not heard the server for `host_lease_s` ends its
    processes.
    """

    sharing: Literal["shared", "directory"] = "shared"
    instances_max: int = INSTANCES_MAX
    memory_free_bytes_min: int = MEMORY_FREE_BYTES_MIN
    idle_timeout_s: float = IDLE_TIMEOUT_S
    leave_running: bool = False
    workspace_roots: tuple[str, ...] = ("/",)
    keep_transcripts_s: float | None = None
    host_cpus: float = HOST_CPUS
    host_memory_mb: int = HOST_MEMORY_MB
    host_lease_s: float = HOST_GRACE_S - HOST_GRACE_MARGIN_S


class Connections:
    """The clients of ready instances, by instance id."""

    def __init__(self) -> None:
        self._clients: dict[str, OpenCode] = {}
        self._nurseries: dict[str, trio.Nursery] = {}
        self._opened: dict[str, trio.Event] = {}
        self._created: dict[str, trio.Event] = {}  # by the id of OpenCode's session that is being created

    @contextmanager
    def opened(self, instance_id: str, client: OpenCode, nursery: trio.Nursery) -> Generator[None]:
        """Let others use `client` while the block runs, and `start` requests in `nursery`."""
        self._clients[instance_id] = client
        self._nurseries[instance_id] = nursery
        opened = self._opened.pop(instance_id, None)
        if opened is not None:
            opened.set()
        try:
            yield
        finally:
            del self._clients[instance_id], self._nurseries[instance_id]

    def start(self, instance_id: str, request: Callable[[OpenCode], Awaitable[None]]) -> None:
        """Send a request to an instance in the background. Do nothing if it is not connected.

        A connection that ends cancels it. It must not raise.
        """
        if instance_id in self._clients:
            self._nurseries[instance_id].start_soon(request, self._clients[instance_id])

    def load(self, instance_id: str, directory: str) -> None:
        """Let an instance load a directory in the background."""

        async def load(client: OpenCode) -> None:
            await client.load(directory)

        self.start(instance_id, load)

    def create_ahead(self, instance_id: str, opencode_id: str, directory: str) -> None:
        """Let an instance create OpenCode's session in the background."""

        async def create(client: OpenCode) -> None:
            created = self._created[opencode_id] = trio.Event()
            try:
                await client.create_ahead(opencode_id, directory)
            finally:
                created.set()
                if self._created.get(opencode_id) is created:
                    del self._created[opencode_id]

        self.start(instance_id, create)

    async def wait_created(self, opencode_id: str) -> None:
        """Wait until the creation of OpenCode's session in the background is over, if there is one."""
        if opencode_id in self._created:
            await self._created[opencode_id].wait()

    def current(self, instance_id: str) -> OpenCode | None:
        """Return the client; None if the instance is not connected."""
        return self._clients.get(instance_id)

    async def get(self, instance_id: str) -> OpenCode:
        """Return the client, waiting a little for it. Raises `Unavailable` opencode_unreachable."""
        with trio.move_on_after(CONNECT_TIMEOUT_S):
            while instance_id not in self._clients:
                await self._opened.setdefault(instance_id, trio.Event()).wait()
        client = self._clients.get(instance_id)
        if client is None:
            raise Unavailable("opencode_unreachable", "there is no connection to the session's OpenCode process")
        return client

    async def wait(self, instance_id: str) -> OpenCode:
        """Return the client, waiting without a limit: when the instance ends, the waiting effects are cancelled."""
        patience = Patience("waits_for_connection", instance=instance_id)
        return await persist(partial(self.get, instance_id), patience, every_s=0)


class ActorRegistries(msgspec.Struct, frozen=True):
    """Every actor's address, by kind."""

    sessions: ActorRegistry[Deliver[SessionCommand], SessionReply]
    instances: ActorRegistry[Deliver[InstanceCommand], InstanceReply]
    workspaces: ActorRegistry[Deliver[WorkspaceCommand], WorkspaceReply]
    roots: ActorRegistry[Deliver[roots.WorkspaceRootCommand], RootsReply]
    webhooks: ActorRegistry[Deliver[WebhookCommand], WebhookReply]
    trust: ActorRegistry[Deliver[trust.TrustCommand], TrustReply]
    server: ActorRegistry[Deliver[server.ServerCommand], ServerReply]
    hosts: ActorRegistry[Deliver[hosts.HostsCommand], HostsReply]


class Context:
    """What the actors of one Fleet share. `actors` is set once, by supervision.py, before the first actor runs.

    `live` has what each host said last, `local` included (upkeep/host_records.py).
    """

    actors: ActorRegistries

    def __init__(
        self, ports: Ports, log: Log, blobs: Blobs, *, views: Views, inflight: InFlight, policy: Policy
    ) -> None:
        self.clock = ports.clock
        self.ids = ports.ids
        self.hosts = with_problems(ports.hosts)
        self.live: dict[str, HostInfo] = {}
        self._at: dict[str, Host] = {}
        self.local = self.at(LOCAL)
        self.webhook_secrets = with_problems(ports.webhook_secrets)
        self.sender = with_problems(ports.sender)
        self.log = log
        self.blobs = blobs
        self.views = views
        self.inflight = inflight
        self.policy = policy
        self.connections = Connections()
        self.looked_s: dict[str, float] = {}  # when each workspace was checked, the last one at the end

    def at(self, host: str) -> Host:
        """Return the ports of a host. Raises `Rejected` host_unknown."""
        if host not in self._at:
            self._at[host] = _with_problems(self.hosts.host(host))
        return self._at[host]

    def host_of(self, workspace_id: str) -> Host:
        """Return the host of a workspace; that of the server for a workspace that is unknown or not ordered yet."""
        state = self.views.workspaces.get(workspace_id)
        return self.at(LOCAL if state is None or state.spec is None else state.spec.host)

    def host_of_instance(self, instance_id: str) -> Host:
        """Return the host of an instance; that of the server for an unknown one."""
        state = self.views.instances.get(instance_id)
        return self.at(LOCAL if state is None else state.host)

    @property
    def known_hosts(self) -> hosts.State:
        """What is recorded of the other hosts."""
        return self.views.hosts.get(hosts.HOSTS_ID) or hosts.initial(hosts.HOSTS_ID)

    def kept_since_ms(self) -> int | None:
        """Return the time before which ended sessions are erased; None where they are not erased."""
        keep_s = self.policy.keep_transcripts_s
        return None if keep_s is None else self.clock.now_ms() - int(keep_s * 1000)

    def new_turn_ids(self) -> NewTurnIds:
        """Return ids for a turn that may start now."""
        return NewTurnIds(self.ids.opencode("msg"), self.ids.opencode("prt"))


def _with_problems(host: Host) -> HostPorts:
    return HostPorts(
        name=host.name,
        opencode=with_problems(host.opencode),
        workspaces=with_problems(host.workspaces),
        trees=with_problems(host.trees),
        removals=with_problems(host.removals),
        files=with_problems(host.files),
        scripts=with_problems(host.scripts),
        shells=with_problems(host.shells),
    )
