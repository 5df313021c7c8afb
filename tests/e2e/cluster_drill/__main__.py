"""Runs the drill: `make drill-cluster SEED=1 FAULTS=20 KINDS="agent raylet server head partition power"`.

It needs root, because it makes machines of namespaces. It ends with 0 if nothing is wrong, and tells the story.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from random import Random
from typing import Final

import trio

from fleet.rehearsal.config import opencode_config
from tests.e2e.cluster_drill.checker import look_back, read_log
from tests.e2e.cluster_drill.cluster import ADDRESS, MODEL_PORT, Cluster
from tests.e2e.cluster_drill.faults import FAULTS, GRACE_S, Stage
from tests.e2e.cluster_drill.figures import resumed_elsewhere
from tests.e2e.cluster_drill.machines import make_network
from tests.e2e.cluster_drill.sessions import Client, Memory, api_of
from tests.e2e.cluster_drill.witness import Witness
from tests.e2e.drill.drill import Victim
from tests.e2e.server import repository

_MACHINES: Final = 3
_SESSIONS: Final = 5
_REPAIR_S: Final = 120.0
_PERMISSIONS: Final = {"permission": {"bash": "allow", "edit": "allow", "external_directory": "allow"}}


class ClusterServer(Victim):
    """The server of the drill: its sessions work on the machines of the cluster."""

    cluster: Cluster

    def command(self, *arguments: str) -> list[str]:
        """See `Server`: the model is that of each machine."""
        hosts = ("--hosts", "ray", "--ray-address", ADDRESS, "--host-grace-s", str(GRACE_S))
        python, option, code, *rest = super().command(*hosts, *arguments)
        tell = "from tests.e2e.cluster_drill.stacks import install; install(); "
        return [python, option, code.replace("from fleet", f"{tell}from fleet", 1), *rest, "--rehearsal", "never"]

    def tell_stacks(self) -> None:
        """Have the server write to its log what each of its tasks waits for."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(2)

    def environment(self) -> dict[str, str]:
        """See `Server`; it needs the settings of the cluster."""
        return {**super().environment(), **self.cluster.settings}


async def drill(server: ClusterServer, memory: Memory, witness: Witness, *, seed: int, kinds: list[str]) -> None:
    """Have clients work while one fault follows the other, then wait until everything has come to rest."""
    began = trio.current_time()

    def note(what: str) -> None:
        memory.ledger.moments.append(f"{trio.current_time() - began:.1f} s: {what}")
        print(memory.ledger.moments[-1], flush=True)

    cluster, random = server.cluster, Random(seed)
    project = repository(server.root / "project")
    ticks = server.root / "ticks"
    await server.begin()
    await _all_up(server)
    note("the server and all machines are up")
    clients = [
        Client(
            api_of(lambda: server.url, memory, Random(f"{seed}:{number}")),
            memory,
            Random(f"{seed}:{number}"),
            f"s{number}",
            ticks,
        )
        for number in range(_SESSIONS)
    ]
    stopping = trio.Event()
    async with trio.open_nursery() as watching:
        watching.start_soon(witness.watch)
        async with trio.open_nursery() as playing:
            for number, client in enumerate(clients):
                await client.create(project, {f"side-{number % _MACHINES}": "yes"}, "resume" if number % 2 else "ask")
                playing.start_soon(client.live, stopping)
            stage = Stage(cluster, server, random, note, memory.absences)
            for kind in kinds:
                await trio.sleep(random.uniform(2, 10))
                await FAULTS[kind](stage)
                await _all_up(server)
            note("no more faults")
            await trio.sleep(10)
            stopping.set()
        for client in clients:
            await client.rest()
        note("everything is at rest")
        watching.cancel_scope.cancel()


async def _all_up(server: ClusterServer) -> None:
    """Wait until the server hears all machines."""
    names = {each.name for each in server.cluster.machines}

    def away() -> set[str]:
        up = {each["name"] for each in server.call("GET", "/hosts") if each["status"] == "up"}
        return names - up

    with trio.move_on_after(_REPAIR_S):
        while await trio.to_thread.run_sync(away):  # noqa: ASYNC110 - the server is another process
            await trio.sleep(0.5)
        return
    raise AssertionError(f"after {_REPAIR_S:.0f} s these machines are not up: {away()}")


def main() -> int:
    """Run the drill and say what is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--kinds", nargs="+", default=list(FAULTS), choices=list(FAULTS))
    parser.add_argument("--opencode", type=Path, required=True)
    parser.add_argument("--root", type=Path, default=Path("/tmp/fleet-cluster"))
    asked = parser.parse_args()
    opencode: Path = asked.opencode.absolute()
    shutil.rmtree(asked.root, ignore_errors=True)
    make_network()
    model = json.dumps({**_PERMISSIONS, **opencode_config(f"http://127.0.0.1:{MODEL_PORT}/v1")})
    path = f"{opencode.parent}{os.pathsep}{os.environ['PATH']}"
    cluster = Cluster(asked.root, {"PATH": path, "OPENCODE_CONFIG_CONTENT": model}, _MACHINES)
    ticks = asked.root / "ticks"
    ticks.mkdir()
    server = ClusterServer(asked.root, opencode)
    server.cluster = cluster
    memory, witness = Memory(), Witness(cluster.machines, ticks)
    kinds = Random(f"{asked.seed}:kinds").choices(asked.kinds, k=asked.faults)
    cluster.start()
    time.sleep(5)
    try:
        trio.run(lambda: drill(server, memory, witness, seed=asked.seed, kinds=kinds))
        wrong = [*memory.ledger.wrong]
        if server.end() != 0:
            wrong.append("the server did not end in order")
        time.sleep(GRACE_S)  # processes on other hosts end with their lease
        left = [sight for sight in witness.look() if sight.processes]
        wrong.extend(f"the server has ended long ago, and {each.processes} live on {each.machine}" for each in left)
        events = read_log(server.data)
        wrong.extend(look_back(events, server.data / "trees", memory.sent, witness.sights, witness.ticks(), GRACE_S))
    except BaseException:
        server.tell_stacks()
        raise
    finally:
        server.close()
    for each in resumed_elsewhere(events, memory.absences):
        print(
            f"{memory.ledger.sessions[each.session]} was resumed elsewhere {each.away_s:.1f} s after {each.machine} "
            f"went away, {each.lost_s:.1f} s after it was lost (grace {GRACE_S} s)"
        )
    print(f"{len(memory.sent)} prompts, {len(witness.ticks())} ticks, {len(witness.sights)} looks at machines")
    print(
        "\n".join(
            [f"{len(wrong)} things are wrong", *wrong, f"Again: SEED={asked.seed} FAULTS={asked.faults}; {server.log}"]
        )
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
