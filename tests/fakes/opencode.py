"""A fake OpenCode for the simulation: processes, protocol and faults, on trio's clock and one seed.

`FakeOpenCodeWorld` is the machine: it outlives a simulated crash of Fleet, with the processes, the store they share and
the sessions in it. `FakeOpenCodeHost` and `FakeOpenCode` are the two ports into it. Its semantics are those measured of
the real one, and tests/contracts/opencode_contract.py holds both to them. What it says goes through the same `wire`
module as what the real one says. Processes are in opencode_process.py, the ports in opencode_host.py and
opencode_client.py, turns and the words that script them in opencode_turn.py.

Everything that checkers ask is counted here: `runs`, `finished_turns`, `model_calls`, `double_runs`, `written`,
`worked` (when which turns ran), `replies`, `loaded`, `disposed`, `copies` (messages that forks began with), `deleted`
(sessions), `asked_about` (directories whose offers were read), `agents_in` (the agents of a directory, where it has
others), `living()`. What agents write goes to `disk`.
"""

from collections import Counter
from random import Random

import trio

from fleet.ids import OPENCODE_RANDOM_BITS, OpenCodePrefix, opencode_id
from fleet.ports import Exit, ProcessIdentity
from tests.fakes.clock import EPOCH_MS
from tests.fakes.opencode_client import FakeOpenCode
from tests.fakes.opencode_host import FakeOpenCodeHost, ImportFault
from tests.fakes.opencode_process import FakeProcess, FakeTool, SpawnFault
from tests.fakes.opencode_store import Store
from tests.fakes.opencode_turn import Worked, Written
from tests.fakes.workspaces import FakeDisk

__all__ = [
    "FakeOpenCode",
    "FakeOpenCodeHost",
    "FakeOpenCodeWorld",
    "FakeProcess",
    "FakeTool",
    "ImportFault",
    "SpawnFault",
]


class FakeOpenCodeWorld:
    """One machine with one OpenCode data directory. `nursery` must outlive every simulated Fleet; cancel it at the end.

    `lost_idle_chance` and `swallowed_term_chance` are the odds of two things that the real one does now and then.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        seed: int = 0,
        *,
        version: str = "1.18.33",
        disk: FakeDisk | None = None,
        lost_idle_chance: float = 0.02,
        swallowed_term_chance: float = 0.02,
    ) -> None:
        self.nursery = nursery
        self.random = Random(seed)
        self.version = version
        self.lost_idle_chance = lost_idle_chance
        self.swallowed_term_chance = swallowed_term_chance
        self.free_memory_bytes = 8 * 1024**3
        self.store = Store()
        self.disk = FakeDisk() if disk is None else disk
        self.written: list[Written] = []
        self.replies: list[tuple[str, str]] = []
        self.loaded: list[tuple[str, str]] = []
        self.disposed: list[tuple[str, str]] = []
        self.asked_about: set[str] = set()
        self.create_takes_s = 0.0
        self.agents_in: dict[str, list[dict[str, object]]] = {}
        self.mcp_servers: tuple[str, ...] = ()
        self.mcp_start_s = 0.0
        self.refusals = 0
        self.boot = 1
        self.online = True
        self._back_online = trio.Event()
        self.processes: list[FakeProcess] = []
        self.orphans: list[FakeTool] = []
        self.spawn_faults: list[SpawnFault] = []
        self.import_faults: list[ImportFault] = []
        self.delete_fault = False
        self.forgotten: list[str] = []
        self.runs: Counter[tuple[str, str]] = Counter()
        self.finished_turns: Counter[str] = Counter()
        self.copies: set[str] = set()
        self.deleted: set[str] = set()
        self.model_calls: Counter[str] = Counter()
        self.named_by_model: list[str] = []
        self.double_runs: list[str] = []
        self.worked: list[Worked] = []
        self._pid = 1000
        self._ids = 0

    def now_ms(self) -> int:
        return EPOCH_MS + int(trio.current_time() * 1000)

    def new_id(self, prefix: OpenCodePrefix) -> str:
        self._ids += 1
        return opencode_id(prefix, self.now_ms(), self._ids % 4096, self.random.getrandbits(OPENCODE_RANDOM_BITS))

    def new_identity(self) -> ProcessIdentity:
        self._pid += 1
        return ProcessIdentity(self._pid, float(self._pid) * 10, f"boot-{self.boot}")

    def by_chance(self, chance: float) -> bool:
        return self.random.random() < chance

    def host(self) -> "FakeOpenCodeHost":
        """Return the host of a Fleet that starts now: what lived before is not its child."""
        return FakeOpenCodeHost(self)

    # ------------------------------------------------------------------------------------------------ for checkers

    def living(self) -> "tuple[FakeProcess, ...]":
        return tuple(process for process in self.processes if process.exit is None)

    def process(self, instance_id: str) -> "FakeProcess":
        """Return the newest process of the instance. Raises `KeyError`."""
        for process in reversed(self.processes):
            if process.instance_id == instance_id:
                return process
        raise KeyError(instance_id)

    # --------------------------------------------------------------------------------------------------- faults

    def fail_next_spawn(self, fault: SpawnFault) -> None:
        self.spawn_faults.append(fault)

    def kill(self, instance_id: str) -> None:
        """SIGKILL the server; the shells of its tools live on."""
        self.process(instance_id).die(Exit(signal=9))

    def hang(self, instance_id: str) -> None:
        """SIGSTOP: it accepts connections and answers none."""
        self.process(instance_id).hang()

    def resume(self, instance_id: str) -> None:
        """SIGCONT."""
        self.process(instance_id).resume()

    def drop_events(self, instance_id: str) -> None:
        """Break every event stream; what happens until the reader is back is lost to it."""
        self.process(instance_id).break_streams()

    def reboot(self) -> None:
        """The machine went down: no process is left, and pids mean nothing any more."""
        for process in self.living():
            process.die(Exit(signal=9))
        self.orphans.clear()
        self.boot += 1

    def set_online(self, *, online: bool) -> None:
        """Say whether the head reaches this machine. What happens meanwhile is reported when it does again, if soon."""
        if online and not self.online:
            self._back_online.set()
            self._back_online = trio.Event()
        self.online = online

    async def wait_online(self) -> None:
        while not self.online:
            await self._back_online.wait()

    def forget(self) -> None:
        """Lose the disk: OpenCode's database is on it. What checkers count stays."""
        self.deleted |= self.store.sessions.keys()
        self.store = Store()

    def delete_session(self, session_id: str) -> None:
        """Delete it, as `opencode session delete` does: its turn ends with a complaint of the database."""
        for process in self.living():
            if (turn := process.turns.get(session_id)) is not None:
                turn.scope.cancel()
                process.show_error(session_id, "UnknownError", 'Failed query: insert into "part"')
                process.end_turn(session_id, announced=True)
        self.store.lose(session_id)
        self.deleted.add(session_id)

    def answer(self, request_id: str) -> None:
        """Answer a permission or question, as a person does in OpenCode's own interface. Raises `KeyError`."""
        next(process for process in self.living() if request_id in process.requests).answer(request_id)
