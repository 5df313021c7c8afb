"""Calls an agent of a Ray cluster as a program of Ray would: `python -m bench.ray_call HOST:PORT CALLS`.

It prints the median of a call in milliseconds. The agent serves the same echo as for the sidecar.
"""

import statistics
import sys
import time
from typing import Any

import msgspec

from fleet.adapters.ray.agent import HostAgent


def main(address: str, calls: int) -> None:
    """Make the calls, one after the other, and print the median."""
    import ray as module

    ray: Any = module  # it has no types
    ray.init(address, namespace="bench", log_to_driver=False, logging_level="error", configure_logging=False)
    there = {"fleet-host": "n1"}
    agent = ray.remote(HostAgent).options(num_cpus=0, label_selector=there).remote("tests.ray.opener:open_echo", b"")
    body = msgspec.msgpack.encode(["hello"])
    taken: list[float] = []
    for _ in range(calls):
        started_s = time.perf_counter()
        ray.get(agent.call.remote("echo", "repeat", body, None))
        taken.append((time.perf_counter() - started_s) * 1000)
    print(statistics.median(taken[calls // 5 :]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
