"""The process that makes a survey of a cluster: `python -m fleet.adapters.ray.surveyor HOST:PORT` prints it as JSON.

Like the sidecar it imports Ray, which may end its process. Its probes end with it. With the id of a server as a further
argument it first releases what that one holds: its agents, so that nothing starts more processes, then its processes,
and then its reservations. So the survey shows what is left.
"""

import os
import platform
import re
import socket
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from fleet.adapters.ray.authentication import require_accepted, require_closed, require_token
from fleet.adapters.ray.frames import AGENT, HOST_LABEL, SLOT, server_of
from fleet.adapters.ray.presence import Presence
from fleet.adapters.ray.refusals import not_connected
from fleet.adapters.ray.survey import Probe, Server, Survey, Surveyed
from fleet.limits import RELEASE_STEP_S, SURVEY_CONNECT_S, SURVEY_PROBE_S
from fleet.ports import HostInfo


def main(address: str, released: str | None = None) -> None:
    """Print the survey of the cluster at `address`, after the release of what the server `released` holds."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Ray prints to it
    try:
        require_token(os.environ)
        require_closed(address)
        require_accepted(address, os.environ)
        made = _survey(address, released)
    except Exception as error:
        made = Survey(failure=not_connected(error, address).reason)
    answer.write(msgspec.json.encode(made))
    answer.flush()
    os._exit(0)


def _survey(address: str, released: str | None) -> Survey:
    import ray as module

    ray: Any = module  # it has no types
    ray.init(address, namespace="survey", log_to_driver=False, logging_level="error", configure_logging=False)
    nodes = sorted((node for node in ray.nodes() if node["Alive"]), key=_name)
    probes = [_probe(ray, node) for node in nodes]
    looks = [probe.look.remote(ray.__version__) for probe in probes]
    ray.wait(looks, num_returns=len(looks), timeout=SURVEY_PROBE_S)
    if released is not None:
        _end_all(partial(_agents_of, ray, released), ray.kill)
    shown = [_presences(node, probe, released) for node, probe in zip(nodes, probes, strict=True)]
    ray.wait(shown, num_returns=len(shown), timeout=SURVEY_PROBE_S if released is None else RELEASE_STEP_S)
    machines = tuple(_surveyed(ray, *each) for each in zip(nodes, probes, looks, shown, strict=True))
    if released is not None:
        _end_all(partial(_reservations_of, ray, released), ray.util.remove_placement_group)
    servers = _servers(ray, {each.server for machine in machines for each in machine.presences})
    return Survey(machines, "", servers, engine_version=ray.__version__, python_version=platform.python_version())


def _end_all(find: Callable[[], Mapping[str, Any]], end: Callable[[Any], object]) -> None:
    """End what is found, by id, and wait until it is gone. A server that is at work makes others, which stay."""
    found = find()
    for each in found.values():
        end(each)
    end_s = time.monotonic() + RELEASE_STEP_S
    while found.keys() & find().keys() and time.monotonic() < end_s:
        time.sleep(0.1)


# ------------------------------------------------------------------------------------------------------- the servers


def _servers(ray: Any, present: Iterable[str]) -> tuple[Server, ...]:
    """Return the servers that hold something, those with files only (`present`) included."""
    agents: dict[str, list[str]] = {}
    for actor in _agents(ray):
        agents.setdefault(server_of(actor["namespace"]), []).append(actor["name"].removeprefix(AGENT))
    reserved: dict[str, list[Mapping[str, Any]]] = {}
    for namespace, group in _reservations(ray):
        reserved.setdefault(server_of(namespace), []).append(group)
    connected = _connected()
    ids = sorted({*agents, *reserved, *present})
    return tuple(_server(each, agents.get(each, ()), reserved.get(each, ()), connected.get(each, "")) for each in ids)


def _server(name: str, agents: Iterable[str], reserved: Collection[Mapping[str, Any]], connected_from: str) -> Server:
    rooms = [next(iter(group["bundles"].values())) for group in reserved]
    return Server(
        name,
        tuple(sorted(agents)),
        reserved_on=tuple(sorted({group["name"].rpartition("@")[2] for group in reserved})),
        reservations=len(reserved),
        cpus=sum(float(room.get("CPU", 0)) for room in rooms),
        memory_mb=sum(int(room.get("memory", 0)) for room in rooms) >> 20,
        connected_from=connected_from,
    )


def _agents(ray: Any) -> list[Mapping[str, str]]:
    """Return the agents of all servers, as Ray's `name` and `namespace`."""
    return [each for each in ray.util.list_named_actors(all_namespaces=True) if each["name"].startswith(AGENT)]


def _reservations(ray: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the reservations of all servers, each with its namespace, which Ray's public table does not have."""
    table: Mapping[str, Mapping[str, Any]] = ray.util.placement_group_table()
    read = _tables().PlacementGroupTableData.FromString
    every = [read(each) for each in _state().get_placement_group_table()]
    return [
        (each.ray_namespace, table[group])
        for each in every
        if (group := each.placement_group_id.hex()) in table
        and each.name.startswith(SLOT)
        and table[group]["state"] != "REMOVED"
    ]


def _connected() -> dict[str, str]:
    """Return the servers that are connected now, each with the address of its machine."""
    jobs = _state().get_job_table(skip_submission_job_info_field=True, skip_is_running_tasks_field=True)
    jobs = [_tables().JobTableData.FromString(each) for each in jobs]
    return {server_of(job.config.ray_namespace): job.driver_ip_address for job in jobs if not job.is_dead}


def _state() -> Any:
    """Return Ray's reader of the tables of the cluster."""
    from ray._private import state as module

    ray_state: Any = module  # it has no types
    return ray_state.state._connect_and_get_accessor()


def _tables() -> Any:
    """Return the forms of the rows of these tables."""
    from ray.core.generated import gcs_pb2

    return gcs_pb2


def _agents_of(ray: Any, server: str) -> dict[str, Any]:
    """Return the agents of a server, by Ray's ids."""
    found: dict[str, Any] = {}
    for each in _agents(ray):
        if server_of(each["namespace"]) == server:
            with suppress(ValueError):  # it has ended meanwhile
                agent = ray.get_actor(each["name"], namespace=each["namespace"])
                found[agent._actor_id.hex()] = agent
    return found


def _reservations_of(ray: Any, server: str) -> dict[str, Any]:
    """Return the reservations of a server as Ray's placement groups, by Ray's ids."""
    from ray._raylet import PlacementGroupID
    from ray.util.placement_group import PlacementGroup

    ids = [group["placement_group_id"] for namespace, group in _reservations(ray) if server_of(namespace) == server]
    return {each: PlacementGroup(PlacementGroupID(bytes.fromhex(each))) for each in ids}


# ------------------------------------------------------------------------------------------------------ the machines


def _name(node: Any) -> str:
    return str(node["Labels"].get(HOST_LABEL, ""))


def _probe(ray: Any, node: Any) -> Any:
    there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    return ray.remote(Probe).options(num_cpus=0, scheduling_strategy=there).remote(node["NodeManagerAddress"])


def _presences(node: Any, probe: Any, released: str | None) -> Any:
    return probe.presences.remote(node["Labels"].get(HOST_LABEL), released)


def _surveyed(ray: Any, node: Any, probe: Any, look: Any, shown: Any) -> Surveyed:
    is_head = "node:__internal_head__" in node["Resources"]
    machine = Surveyed(node["NodeManagerAddress"], dict(node["Labels"]), is_head)
    try:
        info = msgspec.msgpack.decode(ray.get(look, timeout=0.1), type=HostInfo)
        sent_ms = time.time_ns() / 1e6
        clock_ms = ray.get(probe.clock_ms.remote(), timeout=SURVEY_PROBE_S)
        skew_ms = round(clock_ms - (sent_ms + time.time_ns() / 1e6) / 2)
        port = ray.get(probe.listen.remote(), timeout=SURVEY_PROBE_S)
        found = msgspec.msgpack.decode(ray.get(shown, timeout=0.1), type=tuple[Presence, ...])
    except Exception as error:
        return msgspec.structs.replace(machine, problem=_problem(error))
    reachable = _connects(machine.address, port)
    return msgspec.structs.replace(machine, info=info, skew_ms=skew_ms, is_reachable=reachable, presences=found)


def _problem(error: Exception) -> str:
    text = str(error).strip()
    if (found := re.search("No module named .*", text)) is not None:
        return f"Fleet is not installed there, or another version of it: {found[0]}"
    return f"{type(error).__name__}: {text.splitlines()[-1] if text else 'no answer'}"


def _connects(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), SURVEY_CONNECT_S).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
