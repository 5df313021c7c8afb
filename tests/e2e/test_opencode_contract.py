"""The real OpenCode keeps the contract that the fake is held to, through the adapters, with the rehearsal model.

One process serves the whole module. It is started in a loop of its own before the tests, which therefore find it as a
restarted Fleet does; the model runs in a thread.
"""

import os
import signal
import threading
import time
from collections.abc import Generator
from pathlib import Path
from queue import Queue

import pytest
import trio
from trio.abc import Clock

from fleet.adapters.opencode.identity import send
from fleet.adapters.opencode.process import LocalOpenCodeHost
from fleet.ids import OpenCodePrefix, opencode_id
from fleet.ports import Endpoint, ProcessIdentity
from fleet.rehearsal.app import serve_rehearsal
from fleet.rehearsal.config import opencode_config
from fleet.rehearsal.home import furnish, without_models
from fleet.rehearsal.script import fenced
from tests.contracts.compaction_contract import CompactionContract
from tests.contracts.copies_contract import CopiesContract
from tests.contracts.offers_contract import OffersContract, WriteFile
from tests.contracts.opencode_contract import OpenCodeContract, OpenCodeSide
from tests.contracts.subagents_contract import SubagentsContract

INSTANCE = "shared"
PERMISSIONS = {"permission": {"bash": {"*": "allow", "touch *": "ask"}}}


class RehearsalScript:
    """The rehearsal model's scripts."""

    def text(self, said: str) -> str:
        return fenced(f'say "I say {said} and nothing else" at 200/s')

    def steps(self, count: int) -> str:
        return fenced('bash "true"\n---\n' * (count - 1) + 'say "done"')

    def shell(self, seconds: int) -> str:
        return fenced(f'bash "sleep {seconds}"\n---\nsay "slept"')

    def ask(self) -> str:
        return fenced('bash "touch asked-for"\n---\nsay "touched"')

    def question(self) -> str:
        return fenced('question "Which colour?": "Red", "Blue"\n---\nsay "thanks"')

    def task(self) -> str:
        return fenced('task "Think": "Think hard"\n---\nsay "thought"')

    def hang(self) -> str:
        return fenced('stall 600s\nsay "too late"')

    def fail(self) -> str:
        return fenced('error 401 "Invalid API key"')


@pytest.fixture(scope="module")
def model_url() -> Generator[str]:
    """The rehearsal model in a thread with a loop of its own."""
    said: Queue[tuple[str, trio.lowlevel.TrioToken, trio.CancelScope]] = Queue()

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            url = await nursery.start(serve_rehearsal)
            said.put((url, trio.lowlevel.current_trio_token(), nursery.cancel_scope))

    thread = threading.Thread(target=trio.run, args=(serve,), name="rehearsal model")
    thread.start()
    url, loop, scope = said.get(timeout=10)
    yield url
    trio.from_thread.run_sync(scope.cancel, trio_token=loop)
    thread.join(timeout=10)


@pytest.fixture(scope="module")
def served(
    opencode_binary: Path, model_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[Path, LocalOpenCodeHost, ProcessIdentity, Endpoint]]:
    root = tmp_path_factory.mktemp("opencode").resolve()
    for directory in ("data", "one", "two"):
        (root / directory).mkdir()
    furnish(root / "home/.config/opencode")
    host = _host(root, opencode_binary, model_url)

    async def start() -> tuple[ProcessIdentity, Endpoint]:
        identity = await host.spawn(INSTANCE, str(root / "one"))
        return identity, await host.wait_ready(INSTANCE, identity)

    identity, endpoint = trio.run(start)
    yield root, host, identity, endpoint
    unpacked = list((root / "data" / "instances" / INSTANCE / "tmp").glob("*.so"))
    trio.run(host.stop, INSTANCE, identity)
    assert unpacked, "OpenCode unpacks its libraries elsewhere: BUN_TMPDIR does not lead them here any more"
    assert not any(each.exists() for each in unpacked)
    assert trio.run(host.find) == ()


def _host(root: Path, binary: Path, model_url: str) -> LocalOpenCodeHost:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENCODE", "XDG_"))}
    environment = {**kept, "HOME": str(root / "home"), **without_models(root / "home/models.json")}
    return LocalOpenCodeHost(root / "data", str(binary), {**opencode_config(model_url), **PERMISSIONS}, environment)


@pytest.fixture
def clock() -> None:
    """Real time."""


_counter = 0


def new_id(prefix: OpenCodePrefix) -> str:
    """Return an id of now, as the adapter for ids makes them."""
    global _counter  # noqa: PLW0603 - ids of one process ascend
    _counter += 1
    return opencode_id(prefix, time.time_ns() // 1_000_000, _counter % 4096, int.from_bytes(os.urandom(10), "big"))


def _kill(instance_id: str, identity: ProcessIdentity) -> None:
    assert send(identity, signal.SIGKILL)


@pytest.fixture
def side(
    served: tuple[Path, LocalOpenCodeHost, ProcessIdentity, Endpoint], opencode_binary: Path, model_url: str
) -> OpenCodeSide:
    root, _, identity, endpoint = served
    return OpenCodeSide(
        host=_host(root, opencode_binary, model_url),
        next_host=lambda: _host(root, opencode_binary, model_url),
        instance_id=INSTANCE,
        identity=identity,
        endpoint=endpoint,
        directory=str(root / "one"),
        other_directory=str(root / "two"),
        script=RehearsalScript(),
        new_id=new_id,
        kill=_kill,
    )


@pytest.fixture
def write_file() -> WriteFile:
    def write(directory: str, name: str) -> None:
        (Path(directory) / name).touch()

    return write


class TestOpenCodeKeepsTheContract(
    OpenCodeContract, CompactionContract, CopiesContract, OffersContract, SubagentsContract
):
    async def test_counts_what_it_has_no_word_for(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode, opencode.events() as stream:
            await anext(stream)
            await side.session(opencode)
            await anext(stream)
            statistics = stream.statistics()  # type: ignore[attr-defined]  # the port promises an iterator alone
            assert statistics.unreadable == 0
            assert statistics.unknown["server.connected"] == 1
