"""The sidecar: the process that is connected to Ray, for the server that has started it.

Ray ends the process of its driver when the cluster's head is away for long, so the server does not import it. The
sidecar refuses a cluster that accepts callers without a token. Ray prints to the standard output, so the frames get a
descriptor of their own first.
"""

import os
import pickle
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from fleet.adapters.ray.agent import HostAgent
from fleet.adapters.ray.authentication import require_accepted, require_closed, require_token
from fleet.adapters.ray.calls import with_last_argument
from fleet.adapters.ray.frames import (
    AGENT,
    HOST_LABEL,
    SLOT,
    Adopt,
    Cluster,
    Connected,
    Dismiss,
    FilePart,
    Node,
    Nodes,
    PortCall,
    Release,
    Reserve,
    Slot,
)
from fleet.adapters.ray.refusals import not_connected
from fleet.adapters.ray.relay import BackendError, Finish, Relay
from fleet.limits import AGENT_CALLS_MAX

_MONITOR_STATUS: Final = b"__autoscaling_status"
_KIND_LABEL: Final = "ray.io/node-group"
_MADE_UP_KIND: Final = "node_"  # and the id of the machine
_CPUS_MIN: Final = 0.001  # a reservation of nothing has to be on a host, too


class RayBackend:
    """`relay.Backend` on a Ray cluster. `ray` is the module, which has no types."""

    def __init__(self, ray: Any, namespace: str, opener: str) -> None:
        self._ray = ray
        self._namespace = namespace
        self._opener = opener
        self._agents: dict[str, Any] = {}
        self._is_elastic = False

    def call(self, call: PortCall, finish: Finish) -> Callable[[], None]:
        """Submit the call; Ray's own thread reports its result."""
        if (agent := self._agents.get(call.host)) is None:
            raise BackendError("gone", f"the host {call.host} has no agent yet")

        def done(future: Any) -> None:
            finish(self._result(call.host, future))

        # As a buffer of its own it is not copied on the host: the agent reads it in the object store.
        body = call.body if call.last is None else pickle.PickleBuffer(_with_file(call.body, call.last))
        reference = agent.call.remote(call.port, call.method, body, call.limit_s)
        reference.future().add_done_callback(done)
        return partial(self._ray.cancel, reference)

    def _result(self, host: str, future: Any) -> bytes | BackendError:
        exceptions = self._ray.exceptions
        try:
            return bytes(future.result())
        except exceptions.ActorUnavailableError:
            return BackendError("unreachable", "its agent does not answer")
        except (exceptions.ActorDiedError, exceptions.RayActorError):
            self._agents.pop(host, None)
            return BackendError("gone", "its agent has ended")
        except exceptions.TaskCancelledError:
            return BackendError("cancelled", "the call was cancelled")
        except BaseException as error:
            return BackendError("unreachable", f"{type(error).__name__}: {error}")

    def adopt(self, order: Adopt) -> None:
        """Find the agent by its name, or create it on the machine with the host's label."""
        if order.is_fresh:
            self.dismiss(Dismiss(order.host))
        self._agents[order.host] = (
            self._ray.remote(HostAgent)
            .options(
                name=AGENT + order.host,
                namespace=self._namespace,
                lifetime="detached",
                get_if_exists=True,
                num_cpus=0,
                max_restarts=-1,
                max_task_retries=0,
                max_concurrency=AGENT_CALLS_MAX,
                label_selector={HOST_LABEL: order.host},
            )
            .remote(self._opener, order.options)
        )

    def dismiss(self, order: Dismiss) -> None:
        """End the agent; processes that it started behind guards continue."""
        if (agent := self._agents.pop(order.host, None) or self._find(order.host)) is not None:
            self._ray.kill(agent)

    def _find(self, host: str) -> Any:
        try:
            return self._ray.get_actor(AGENT + host, namespace=self._namespace)
        except ValueError:
            return None

    def nodes(self, order: Nodes) -> Cluster:
        """Read Ray's tables of machines and placement groups."""
        alive = self._alive()
        slots = self._slots(_hosts_of(alive)) if order.with_slots else {}
        return Cluster(tuple(_node_of(node) for node in alive), self._has_autoscaler(alive), slots)

    def _alive(self) -> list[Any]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def _slots(self, hosts: Mapping[str, str | None]) -> dict[str, Slot]:
        groups: dict[str, Any] = self._ray.util.placement_group_table()  # of all servers on the cluster
        return dict(
            self._named_slot(group, hosts)
            for group in groups.values()
            if group["name"].startswith(SLOT) and group["state"] != "REMOVED"
        )

    def _named_slot(self, group: Any, hosts: Mapping[str, str | None]) -> tuple[str, Slot]:
        """Return the name of a reservation, and its slot. The copy of a server has the same sessions: names are equal.

        So one of another server is named by its id.
        """
        name, found = group["name"].removeprefix(SLOT), self._group(group["name"])
        is_own = found is not None and found.id.hex() == group["placement_group_id"]
        slot = msgspec.structs.replace(_slot_of(group, hosts), is_own=is_own)
        return name if is_own else f"{group['placement_group_id']}@{name.rpartition('@')[2]}", slot

    def _group(self, name: str) -> Any:
        """Return the placement group of this name in the namespace of this server, None if it has none."""
        try:
            return self._ray.util.get_placement_group(name)
        except ValueError:
            return None

    def _has_autoscaler(self, nodes: list[Any]) -> bool:
        if not self._is_elastic:  # it may start after the head, and does not end before it
            status = self._ray.experimental.internal_kv._internal_kv_get(_MONITOR_STATUS)
            self._is_elastic = can_start_machines(status) or (_is_v2() and has_kinds(nodes))
        return self._is_elastic

    def reserve(self, order: Reserve) -> Slot:
        """Find the placement group of the slot, or create it, and wait for its machine."""
        groups = self._ray.util
        if (group := self._group(SLOT + order.slot)) is None:
            room = {"CPU": max(order.cpus, _CPUS_MIN), "memory": order.memory_mb << 20}
            group = groups.placement_group(
                [{name: amount for name, amount in room.items() if amount}],
                name=SLOT + order.slot,
                lifetime="detached",
                bundle_label_selector=[dict(order.selector)],
            )
        group.wait(order.wait_s)
        return _slot_of(groups.placement_group_table(group), _hosts_of(self._alive()))

    def release(self, order: Release) -> None:
        """Remove the placement group of the slot, if it exists."""
        if (group := self._group(SLOT + order.slot)) is not None:
            self._ray.util.remove_placement_group(group)


def _with_file(body: bytes, part: FilePart) -> bytes:
    """Return the arguments with the bytes of the part as the last one. Raises `BackendError` if it cannot be read."""
    try:
        with Path(part.path).open("rb", buffering=0) as file:
            piece = os.pread(file.fileno(), part.count, part.offset)
    except OSError as error:
        raise BackendError("unreachable", f"the sidecar cannot read {part.path}: {error.strerror}") from None
    return with_last_argument(body, piece)


def can_start_machines(status: bytes | None) -> bool:
    """Return whether the status of Ray's monitor (JSON) is that of an autoscaler.

    A monitor without a configuration only reports, and makes up a kind for each machine.
    """
    said: Any = {} if status is None else msgspec.json.decode(status)
    report: Any = said.get("autoscaler_report") or {}
    kinds: Mapping[str, str] = report.get("node_type_mapping") or {}
    return any(kind != f"{_MADE_UP_KIND}{machine}" for machine, kind in kinds.items())


def has_kinds(nodes: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a machine is of a kind that an autoscaler has named when it started it.

    The monitor of Ray's autoscaler v2 does not report its configuration, and runs without one, too.
    """
    return any(node["Labels"].get(_KIND_LABEL) for node in nodes)


def _is_v2() -> bool:
    """Return whether the cluster has Ray's autoscaler v2."""
    from ray.autoscaler.v2 import utils

    ray_utils: Any = utils  # it has no types
    return bool(ray_utils.is_autoscaler_v2(fetch_from_server=True))


def _hosts_of(nodes: list[Any]) -> dict[str, str | None]:
    return {node["NodeID"]: node["Labels"].get(HOST_LABEL) for node in nodes}


def _slot_of(group: Any, hosts: Mapping[str, str | None]) -> Slot:
    room: Mapping[str, float] = next(iter(group["bundles"].values()))
    machine = next(iter(group["bundles_to_node_id"].values()), "")
    return Slot(
        cpus=float(room.get("CPU", 0)),
        memory_mb=int(room.get("memory", 0)) >> 20,
        host=hosts.get(machine),
        is_placed=group["state"] in ("CREATED", "RESCHEDULING"),
    )


def _node_of(node: Any) -> Node:
    resources = node["Resources"]
    return Node(
        dict(node["Labels"]),
        node["NodeManagerAddress"],
        float(resources.get("CPU", 0)),
        int(resources.get("memory", 0)),
    )


def main(address: str, namespace: str, opener: str) -> None:
    """Connect to the cluster at `address`, and serve the orders of the standard input until it ends."""
    reports = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Ray prints to it
    relay = Relay(os.fdopen(0, "rb"), reports)
    try:
        require_token(os.environ)
        require_closed(address)
        require_accepted(address, os.environ)
        ray = _connected(address, namespace)
    except Exception as error:
        relay.send(not_connected(error, address))
    else:
        relay.send(Connected(ray.__version__))
        relay.serve(RayBackend(ray, namespace, opener))
    reports.flush()
    os._exit(0)  # at once: Ray's own end may wait for a cluster that does not answer


def _connected(address: str, namespace: str) -> Any:
    """Return Ray's module, connected. It has no types."""
    import ray as module

    ray: Any = module
    ray.init(address, namespace=namespace, log_to_driver=False, logging_level="error", configure_logging=False)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Ray has set its own, which waits
    return ray


if __name__ == "__main__":
    main(*sys.argv[1:])
