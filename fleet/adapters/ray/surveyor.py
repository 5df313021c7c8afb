"""The process that makes a survey of a cluster: `python -m fleet.adapters.ray.surveyor HOST:PORT` prints it as JSON.

Like the sidecar it imports Ray, which may end its process. Its probes end with it.
"""

import os
import platform
import re
import socket
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fleet.adapters.ray.authentication import require_accepted, require_closed, require_token
from fleet.adapters.ray.frames import AGENT
from fleet.adapters.ray.refusals import not_connected
from fleet.adapters.ray.survey import Probe, Survey, Surveyed
from fleet.limits import SURVEY_CONNECT_S, SURVEY_PROBE_S
from fleet.ports import HostInfo


def main(address: str) -> None:
    """Print the survey of the cluster at `address`."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Ray prints to it
    try:
        require_token(os.environ)
        require_closed(address)
        require_accepted(address, os.environ)
        made = _survey(address)
    except Exception as error:
        made = Survey(failure=not_connected(error, address).reason)
    answer.write(msgspec.json.encode(made))
    answer.flush()
    os._exit(0)


def _survey(address: str) -> Survey:
    import ray as module

    ray: Any = module  # it has no types
    ray.init(address, namespace="fleet-survey", log_to_driver=False, logging_level="error", configure_logging=False)
    nodes = [node for node in ray.nodes() if node["Alive"]]
    probes = [_probe(ray, node) for node in nodes]
    looks = [probe.look.remote(ray.__version__) for probe in probes]
    ray.wait(looks, num_returns=len(looks), timeout=SURVEY_PROBE_S)
    machines = tuple(_surveyed(ray, *each) for each in zip(nodes, probes, looks, strict=True))
    agents = _agents(ray.util.list_named_actors(all_namespaces=True))
    return Survey(machines, "", agents, engine_version=ray.__version__, python_version=platform.python_version())


def _agents(named: Iterable[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return the hosts of each server's agents, by namespace, from Ray's list of named actors."""
    found: dict[str, list[str]] = {}
    for actor in named:
        if actor["name"].startswith(AGENT):
            found.setdefault(actor["namespace"], []).append(actor["name"].removeprefix(AGENT))
    return {namespace: tuple(sorted(hosts)) for namespace, hosts in found.items()}


def _probe(ray: Any, node: Any) -> Any:
    there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    return ray.remote(Probe).options(num_cpus=0, scheduling_strategy=there).remote(node["NodeManagerAddress"])


def _surveyed(ray: Any, node: Any, probe: Any, look: Any) -> Surveyed:
    is_head = "node:__internal_head__" in node["Resources"]
    machine = Surveyed(node["NodeManagerAddress"], dict(node["Labels"]), is_head)
    try:
        info = msgspec.msgpack.decode(ray.get(look, timeout=0.1), type=HostInfo)
        sent_ms = time.time_ns() / 1e6
        clock_ms = ray.get(probe.clock_ms.remote(), timeout=SURVEY_PROBE_S)
        skew_ms = round(clock_ms - (sent_ms + time.time_ns() / 1e6) / 2)
        port = ray.get(probe.listen.remote(), timeout=SURVEY_PROBE_S)
    except Exception as error:
        return msgspec.structs.replace(machine, problem=_problem(error))
    return msgspec.structs.replace(machine, info=info, skew_ms=skew_ms, is_reachable=_connects(machine.address, port))


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
    main(sys.argv[1])
