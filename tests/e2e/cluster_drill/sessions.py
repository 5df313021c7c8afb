"""The clients of the drill: each works with one session, and remembers what was acknowledged.

They know nothing of machines. When a session has ended they resume it, as a person would.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import trio

from fleet.rehearsal.script import Bash, Speak, Write, fenced, print_script
from tests.e2e.cluster_drill.figures import Absence
from tests.e2e.drill.clients import BUSY, ENDED, Answer, Api
from tests.e2e.drill.ledger import Ledger
from tests.patience import PATIENCE_S

_TICKS: Final = 'for i in {count}; do echo "$(hostname) $(cut -d" " -f1 /proc/uptime)" >> {file}; sleep 0.5; done'
_NOT_NOW: Final = {
    *(f"session_{status}" for status in ENDED),
    *("session_not_ready", "session_active", "session_unreachable", "queue_full"),
    *("host_unreachable", "host_unknown", "engine_down", "timed_out"),
    *("opencode_exited", "opencode_unreachable", "opencode_not_ready"),
}


@dataclass
class Sent:
    """A prompt that was acknowledged."""

    marker: str
    session: str
    text: str


@dataclass
class Memory:
    """What the clients know: the acknowledged prompts and the sessions by id. And when machines went away."""

    sent: list[Sent] = field(default_factory=list[Sent])
    absences: list[Absence] = field(default_factory=list[Absence])
    ledger: Ledger = field(default_factory=Ledger)


class Client:
    """A person who works with one session."""

    def __init__(self, api: Api, memory: Memory, random: Random, name: str, ticks: Path) -> None:
        self._api = api
        self._memory = memory
        self._random = random
        self._ticks = ticks
        self._number = 0
        self.name = name
        self.id = ""

    async def create(self, project: Path, labels: dict[str, str], on_host_loss: str) -> None:
        """Create the session on a machine of the cluster."""
        body = {"directory": str(project), "title": self.name, "isolationStrategy": "worktree", "host": labels}
        answer = await self._api.call(
            "POST", "/sessions", {**body, "cpus": 0.1, "memoryMb": 64, "onHostLoss": on_host_loss}, may=_NOT_NOW
        )
        self.id = answer.body["sessionId"] if answer.code else answer.body["session"]["id"]
        self._memory.ledger.sessions[self.id] = self.name

    async def live(self, stopping: trio.Event) -> None:
        """Send prompts, one after the other, until told to stop."""
        while not stopping.is_set():
            await self._prompt()
            while not stopping.is_set() and not await self._is_free():  # noqa: ASYNC110 - the server is another process
                await trio.sleep(0.5)
            with trio.move_on_after(self._random.expovariate(0.5)):
                await stopping.wait()

    async def _prompt(self) -> None:
        self._number += 1
        marker = f"{self.name}x{self._number:03d}"
        text = f"{marker}\n{fenced(print_script(self._script(marker)))}"
        end = trio.current_time() + PATIENCE_S
        while True:
            answer = await self._call("POST", "/prompt", {"text": text, "resume": True})
            if answer.status == 204:
                self._memory.sent.append(Sent(marker, self.id, text))
                return
            assert trio.current_time() < end, f"{self.name} was not prompted in {PATIENCE_S:.0f} s: {answer}"
            await trio.sleep(1)

    def _script(self, marker: str) -> Any:
        count = " ".join("x" * self._random.randint(2, 12))
        ticks = Bash(_TICKS.format(count=count, file=self._ticks / f"{self.id}_{marker}"))
        return ((Write(f"{marker}.txt", f"{marker}\n"),), (ticks,), (Speak("say", f"Done {marker}."),))

    async def _is_free(self) -> bool:
        item = await self.item()
        return item["status"] not in BUSY and (not item["queued"] or item["queuePaused"] is not None)

    async def item(self) -> dict[str, Any]:
        """Return what the server says of the session."""
        found: dict[str, Any] = (await self._api.call("GET", f"/sessions/{self.id}")).body
        return found

    async def _call(self, method: str, path: str, body: Any = None) -> Answer:
        return await self._api.call(method, f"/sessions/{self.id}{path}", body, may=_NOT_NOW)

    async def rest(self) -> None:
        """Wait until nothing runs or waits; resume the session if it has ended, and prompt it if its queue waits."""
        end = trio.current_time() + PATIENCE_S
        while True:
            item = await self.item()
            if item["status"] == "idle" and not item["queued"]:
                return
            assert trio.current_time() < end, f"{self.name} has no rest after {PATIENCE_S:.0f} s: {item}"
            if item["status"] in ENDED:
                await self._call("POST", "/resume")
            elif item["status"] == "idle" and item["queuePaused"] is not None:
                await self._prompt()  # its turn was interrupted, so the next ones wait for a person
            await trio.sleep(1)


def api_of(url: Callable[[], str | None], memory: Memory, random: Random) -> Api:
    """Return the way to the server, wherever it listens just now."""
    return Api(url, memory.ledger, random)
