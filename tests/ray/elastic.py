"""A Ray cluster that starts machines on this one: `python -m tests.ray.elastic HOST:PORT NAME…`.

Each name is a kind of machine, of which there is one at most. It prints the address when the head runs, and ends with
its standard input. `ray.cluster_utils.AutoscalingCluster` would first end every Ray of this machine, and lacks a file.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

_IDLE_MINUTES: Final = 0.1
_NOTHING: Final = (
    *("auth", "file_mounts", "initialization_commands", "setup_commands", "head_setup_commands"),
    *("worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files"),
)


def main(address: str, names: list[str]) -> None:
    host, _, port = address.rpartition(":")
    config = Path(os.environ["RAY_TMPDIR"], "autoscaler.json")
    config.write_text(json.dumps(_configuration(address, names)))
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--num-cpus=0", f"--port={port}"]
    start += [f"--node-ip-address={host}", "--include-dashboard=false", "--include-log-monitor=false"]
    start += ["--min-worker-port=0", "--max-worker-port=0", "--object-store-memory=80000000", "--disable-usage-stats"]
    subprocess.run([*start, f"--autoscaling-config={config}"], check=True, stdout=sys.stderr)
    print(address, flush=True)
    sys.stdin.read()


def _configuration(address: str, names: list[str]) -> dict[str, object]:
    room = {"CPU": 2, "object_store_memory": 80_000_000}
    kinds: dict[str, object] = {
        name: {"resources": room, "labels": {"fleet-host": name}, "node_config": {}, "min_workers": 0, "max_workers": 1}
        for name in names
    }
    kinds["ray.head.default"] = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    return {
        "cluster_name": "elastic",
        "max_workers": len(names),
        "provider": {
            "type": "external",  # of a provider that it knows, version 2 reads a file which the wheel lacks
            "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
            "gcs_address": address,
            "disable_launch_config_check": True,
            "disable_node_updaters": True,
            "use_node_id_as_ip": True,  # all machines have the same address here
        },
        "available_node_types": kinds,
        "head_node_type": "ray.head.default",
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": _IDLE_MINUTES,
        **{name: {} if name in ("auth", "file_mounts") else [] for name in _NOTHING},
    }


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
