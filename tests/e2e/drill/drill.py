"""The drill: sessions at work while the server, and OpenCode with it, are killed with SIGKILL at random moments.

`run` does it and returns what the clients remember, after everything has become quiet and before the server ends.
checker.py judges. One seed gives one sequence of decisions; what they meet depends on the machine's timing as well.
"""

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from random import Random

import psutil
import trio

from tests.e2e.drill.clients import Api, Client, answer_requests
from tests.e2e.drill.ledger import Ledger
from tests.e2e.server import Server
from tests.patience import PATIENCE_S

CAST = (
    ("root", "worktree", None),
    ("child", "worktree", "root"),
    ("cloned child", "clone", "root"),
    ("grandchild", "worktree", "child"),
    ("second", "worktree", None),
    ("second's child", "worktree", "second"),
)
"""Name, isolation strategy, and who hears of the outcomes."""
PROMPTS_PER_KILL = 3
WORK_S = 8.0
"""A server lives until the clients have sent so many prompts on average, or for so long: a slow machine drills too."""
ASKING = {"permission": {"bash": {"*": "allow", "touch *": "ask"}}}


class Victim(Server):
    """A server whose user has configured OpenCode to ask before some commands."""

    url: str | None = None
    """Where it listens now, None while it does not."""

    def environment(self) -> dict[str, str]:
        """See `Server`."""
        return {**super().environment(), "OPENCODE_CONFIG_CONTENT": json.dumps(ASKING)}

    async def begin(self) -> None:
        """Start, and wait until it is ready."""
        self.launch()
        await trio.to_thread.run_sync(self.await_ready)
        self.url = str(self.http.base_url).rstrip("/")

    def die(self) -> None:
        """Be killed, and leave no zombie."""
        self.url = None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def agents(self) -> list[psutil.Process]:
        """Return the OpenCode servers."""
        return sorted((each for each in self.marked() if "serve" in _arguments(each)), key=lambda each: each.pid)


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


async def run(server: Victim, project: Path, ledger: Ledger, *, seed: int, kills: int) -> list[Client]:
    """Drill. Raises `AssertionError` where something does not come to rest. The server runs on."""
    api = Api(lambda: server.url, ledger, Random(f"{seed}:api"))
    stopping = trio.Event()
    clients = {name: Client(api, ledger, Random(f"{seed}:{name}"), name) for name, _, _ in CAST}
    born = {name: trio.Event() for name in clients}

    async def play(name: str, strategy: str, parent: str | None) -> None:
        if parent is not None:
            await born[parent].wait()
        await clients[name].create(project, strategy, None if parent is None else clients[parent].id)
        born[name].set()
        await clients[name].live(stopping)

    try:
        await server.begin()
        async with trio.open_nursery() as inbox:
            inbox.start_soon(answer_requests, api, ledger, Random(f"{seed}:inbox"))
            async with trio.open_nursery() as playing:
                for role in CAST:
                    playing.start_soon(play, *role)
                playing.start_soon(_pass_by, api, ledger, Random(f"{seed}:passing"), project, stopping)
                await _kill(server, ledger, Random(f"{seed}:killer"), kills)
                stopping.set()
            await _come_to_rest(api, list(clients.values()))
            inbox.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await api.close()
    return list(clients.values())


async def _pass_by(api: Api, ledger: Ledger, random: Random, project: Path, stopping: trio.Event) -> None:
    """Create sessions, let them write, and delete them for good."""
    number = 0
    while not stopping.is_set():
        number += 1
        client = Client(api, ledger, random, f"passing {number}")
        await client.create(project, random.choice(("worktree", "clone")))
        await client.prompt("write")
        await client.quiet(stopping)
        await client.erase()
        with trio.move_on_after(random.uniform(0, 8)):
            await stopping.wait()


async def _kill(server: Victim, ledger: Ledger, random: Random, kills: int) -> None:
    began = trio.current_time()

    def note(what: str) -> None:
        ledger.moments.append(f"{trio.current_time() - began:.2f} s: {what}")

    for number in range(kills):
        await trio.sleep(random.uniform(0.2, 3.5))
        await _work(ledger, (number + 1) * PROMPTS_PER_KILL)
        if random.random() < 0.5 and (agents := server.agents()):
            victim = random.choice(agents)
            note(f"kill OpenCode {victim.pid}")
            victim.kill()
            await trio.sleep(random.choice((0.0, 0.0, random.uniform(0, 1.5))))
        note(f"kill the server {server.process.pid}")
        server.die()
        while random.random() < 0.2:
            server.launch()
            await trio.sleep(random.uniform(0, 1.0))
            note(f"kill the server {server.process.pid} while it starts")
            server.die()
        await server.begin()
        note(f"server {server.process.pid} is ready")
    await _work(ledger, (kills + 1) * PROMPTS_PER_KILL)


async def _work(ledger: Ledger, prompts: int) -> None:
    """Wait until the clients have sent so many prompts, for a while."""
    for _ in range(round(WORK_S / 0.1)):
        if len(ledger.asked) >= prompts:
            return
        await trio.sleep(0.1)


async def _come_to_rest(api: Api, clients: Sequence[Client]) -> None:
    """Wait until all sessions are idle at the same time and no callback is under way."""
    end = trio.current_time() + PATIENCE_S
    while True:
        async with trio.open_nursery() as waiting_for:
            for client in clients:
                waiting_for.start_soon(client.quiet)
        now = {item["id"]: item for item in (await api.call("GET", "/sessions?limit=200")).body}
        waiting = [each for each in (await api.call("GET", "/callbacks")).body if each["status"] != "delivered"]
        dropped = [each for each in waiting if each["status"] == "dropped"]
        assert not dropped, f"callbacks were dropped, and their parents live: {dropped}"
        if not waiting and all(now[client.id]["status"] == "idle" for client in clients):
            return
        assert trio.current_time() < end, f"no rest within {PATIENCE_S:.0f} s: {waiting} {list(now.values())}"
        await trio.sleep(0.2)
