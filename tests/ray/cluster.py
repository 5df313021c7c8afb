"""A Ray cluster of a head and machines on this one, in a process of its own: `python -m tests.ray.cluster NAME…`.

It prints the address of the head, then obeys lines of its standard input ("kill NAME", "add NAME", each answered with
"done"), and ends the cluster when that ends. The head itself has the name "head"; it is started again with its state.
The environment has Ray's settings (tests/ray/conftest.py).
"""

import sys
from typing import Any

HEAD = "head"
SMALL: dict[str, Any] = {"include_dashboard": False, "include_log_monitor": False, "object_store_memory": 80_000_000}


def main(names: list[str]) -> None:
    from ray import cluster_utils

    cluster: Any = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **SMALL})
    nodes = {name: add(cluster, name) for name in names}
    say(cluster.address)
    for line in sys.stdin:
        verb, _, name = line.strip().partition(" ")
        if name == HEAD:
            head = cluster.head_node
            head.kill_gcs_server() if verb == "kill" else head.start_gcs_server()
        elif verb == "kill":
            cluster.remove_node(nodes.pop(name), allow_graceful=False)
        else:
            nodes[name] = add(cluster, name)
        say("done")
    cluster.shutdown()


def add(cluster: Any, name: str) -> Any:
    labels = {"fleet-host": name, "disk": "fast" if name == "n2" else "slow"}
    return cluster.add_node(num_cpus=4, memory=2 << 30, labels=labels, wait=False, **SMALL)


def say(word: str) -> None:
    print(word, file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
