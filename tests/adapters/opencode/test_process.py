"""The host against executables that behave badly; what a good one does is in the contract suite."""

import itertools
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.abc import Clock
from trio.testing import MockClock

from fleet.adapters.opencode.detached import Lease
from fleet.adapters.opencode.environment import inherited, merged_config
from fleet.adapters.opencode.identity import identify, send
from fleet.adapters.opencode.process import LocalOpenCodeHost
from fleet.errors import StartupError, Unavailable
from fleet.ports import Exit, ProcessIdentity

ANNOUNCE = 'echo "opencode server listening on http://127.0.0.1:9"'

HEALTHY = f"""#!{sys.executable}
import http.server, sys
if sys.argv[1] == "--version":
    print("1.18.33")
    raise SystemExit
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{{"healthy":true,"version":"1.18.33"}}')
port = int(sys.argv[sys.argv.index("--port") + 1])
server = http.server.HTTPServer(("127.0.0.1", port), Answer)
print(f"opencode server listening on http://127.0.0.1:{{port}}", flush=True)
server.serve_forever()
"""


class Machine:
    """A home, a data directory and an executable that a test writes; `detached`: processes have a guard and a lease."""

    def __init__(self, root: Path, *, detached: bool = False) -> None:
        self.root = root
        self.lease = Lease(root / "lease", 1000.0) if detached else None
        if self.lease is not None:
            self.lease.renew(self.lease.token())
        self.binary = root / "opencode"
        self.directory = str(root)

    def host(
        self, body: str, data_dir: str = "data", *, data_id: str | None = None, **variables: str
    ) -> LocalOpenCodeHost:
        script = f'#!/bin/sh\n[ "$1" = --version ] && {{ echo 1.18.33; exit; }}\n{body}\n'
        self.binary.write_text(body if body.startswith("#!") else script)
        self.binary.chmod(0o755)
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), **variables}
        data, binary = self.root / data_dir, str(self.binary)
        return LocalOpenCodeHost(data, binary, environment=environment, data_id=data_id, lease=self.lease)


@pytest.fixture(params=["child", "detached"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    return Machine(tmp_path.resolve(), detached=request.param == "detached")


async def test_the_version_is_known_once_it_was_asked_for(machine: Machine) -> None:
    host = machine.host("exit 1")
    assert host.known_version is None
    await host.learn_version()
    assert host.known_version == "1.18.33"


async def test_start_reports_an_executable_without_a_version(machine: Machine) -> None:
    host = machine.host("#!/bin/sh\nexit 1\n")
    await host.learn_version()
    assert host.known_version is None
    with pytest.raises(Unavailable) as refused:
        await host.spawn("an-instance", machine.directory)
    assert refused.value.code == "opencode_not_executable"


@pytest.fixture
def hasty_clock() -> Clock:
    """Fifty times as fast, and never jumping: the processes are real and need real time."""
    return MockClock(rate=50)


async def eventually(condition: Callable[[], bool]) -> None:
    with trio.fail_after(60):
        while not condition():  # noqa: ASYNC110 - the file system sends no notification
            await trio.sleep(0.01)


async def test_a_healthy_process_becomes_ready_in_private(machine: Machine) -> None:
    host = machine.host(HEALTHY, FLEET_TOKEN="ours", PROVIDER="theirs")
    identity = await host.spawn("i", machine.directory)
    endpoint = await host.wait_ready("i", identity)
    assert endpoint.version == "1.18.33"
    home = machine.root / "data" / "instances" / "i"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "password").stat().st_mode) == 0o600
    assert os.getsid(identity.pid) == os.getpgid(identity.pid) == identity.pid
    raw = Path(f"/proc/{identity.pid}/environ").read_bytes()
    environment = dict(line.split("=", 1) for line in raw.decode().rstrip("\0").split("\0"))
    assert environment["FLEET_INSTANCE_ID"] == "i"
    assert environment["FLEET_DATA_DIR"] == str(machine.root / "data")
    assert environment["OPENCODE_SERVER_PASSWORD"] == (home / "password").read_text()
    assert environment["PROVIDER"] == "theirs"
    assert environment["BUN_TMPDIR"] == str(home / "tmp")
    (home / "tmp" / "unpacked.so").touch()
    assert "FLEET_TOKEN" not in environment
    assert environment["OPENCODE_SERVER_PASSWORD"] not in Path(f"/proc/{identity.pid}/cmdline").read_text()
    assert [step.step for step in await host.stop("i", identity)] == ["term"]
    assert await host.wait_exit("i", identity) == Exit(signal=15)
    assert not (home / "password").exists()
    assert not (home / "tmp").exists()


async def test_variables_of_the_starting_shell_do_not_reach_the_process(machine: Machine) -> None:
    elsewhere = {"GIT_DIR": "/other/.git", "GIT_WORK_TREE": "/other", "MAKEFLAGS": "w -- ARGS=--port", "PWD": "/other"}
    host = machine.host(HEALTHY, **elsewhere, GIT_SSH_COMMAND="ssh -i key", https_proxy="proxy:3128", NO_PROXY="corp")
    identity = await host.spawn("i", machine.directory)
    raw = Path(f"/proc/{identity.pid}/environ").read_bytes()
    environment = dict(line.split("=", 1) for line in raw.decode().rstrip("\0").split("\0"))
    await host.stop("i", identity)
    assert not elsewhere.keys() & environment.keys()
    assert environment["GIT_SSH_COMMAND"] == "ssh -i key"
    assert environment["no_proxy"] == environment["NO_PROXY"] == "corp,localhost,127.0.0.1,::1,[::1]"


async def test_an_exit_at_start_shows_the_end_of_the_log_without_secrets(machine: Machine) -> None:
    body = 'echo "cannot go on: $OPENCODE_SERVER_PASSWORD $MY_API_KEY"; exit 3'
    host = machine.host(body, MY_API_KEY="very-secret-key")
    identity = await host.spawn("i", machine.directory)
    with pytest.raises(Unavailable, match=r"cannot go on: \*\*\* \*\*\*") as refused:
        await host.wait_ready("i", identity)
    assert refused.value.code == "opencode_exited"
    assert await host.wait_exit("i", identity) == Exit(code=3)
    assert await host.stop("i", identity) == ()


async def test_a_log_that_grows_without_end_is_cut_and_keeps_the_announcement(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.adapters.opencode.files.OPENCODE_LOG_BYTES_MAX", 200_000)
    monkeypatch.setattr("fleet.adapters.opencode.process.OPENCODE_LOG_CHECK_S", 0.01)
    noise = "while [ ! -e $HOME/enough ]; do head -c 9999 /dev/zero; done; sleep 0.3; echo the end; exec sleep 1000"
    host = machine.host(f"{ANNOUNCE}; {noise}")
    identity = await host.spawn("i", machine.directory)
    log = machine.root / "data" / "instances" / "i" / "opencode.log"
    sizes: list[int] = []

    def was_cut() -> bool:
        sizes.append(log.stat().st_size)
        return any(after < before for before, after in itertools.pairwise(sizes))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(host.wait_exit, "i", identity)
        await eventually(was_cut)
        (machine.root / "enough").touch()
        await eventually(lambda: log.read_bytes().endswith(b"the end\n") and log.stat().st_size <= 200_000)
        nursery.cancel_scope.cancel()
    assert log.read_text().startswith("opencode server listening on http://127.0.0.1:9\n")
    await host.stop("i", identity)


async def test_logs_of_processes_that_are_no_more_are_kept_for_a_while(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.adapters.opencode.files.OPENCODE_LOGS_KEPT", 2)
    host = machine.host(f"{ANNOUNCE}; exec sleep 1000")
    alive = await host.spawn("alive", machine.directory)
    for number in range(4):
        identity = await host.spawn(f"i{number}", machine.directory)
        await host.stop(f"i{number}", identity)
        os.utime(machine.root / "data" / "instances" / f"i{number}", (number, number))
    last = await host.spawn("last", machine.directory)
    assert {each.name for each in (machine.root / "data" / "instances").iterdir()} == {"alive", "i2", "i3", "last"}
    await host.stop("alive", alive)
    await host.stop("last", last)


async def test_a_start_removes_the_temporary_files_that_a_crash_has_left(machine: Machine) -> None:
    host = machine.host(f"{ANNOUNCE}; exec sleep 1000")
    identity = await host.spawn("alive", machine.directory)
    data = machine.root / "data"
    for left in ("instances/alive/tmp/in-use.so", "instances/over/tmp/left.so", "imports/ses_left.json"):
        (data / left).parent.mkdir(parents=True, exist_ok=True)
        (data / left).touch()
    machine.host(f"{ANNOUNCE}; exec sleep 1000").sweep()
    assert [each.name for each in data.rglob("*") if each.suffix in (".so", ".json")] == [
        "opencode-versions.json",
        "in-use.so",
    ]
    await host.stop("alive", identity)


async def test_a_process_that_never_announces_is_not_ready(machine: Machine, hasty_clock: Clock) -> None:
    host = machine.host("echo thinking; exec sleep 1000")
    identity = await host.spawn("i", machine.directory)
    with pytest.raises(Unavailable) as refused:
        await host.wait_ready("i", identity)
    assert refused.value.code == "opencode_not_ready"
    await host.stop("i", identity)
    assert identify(identity.pid) is None


async def test_a_taken_port_is_tried_again_with_another(machine: Machine) -> None:
    tried = 'echo "$5" >> "$HOME/ports"; [ $(wc -l < "$HOME/ports") -lt 3 ] && { echo ServeError; exit 1; }'
    host = machine.host(f"{tried}\n{ANNOUNCE}; exec sleep 1000")
    identity = await host.spawn("i", machine.directory)
    ports = (machine.root / "ports").read_text().split()
    assert len(set(ports)) == 3
    assert identify(identity.pid) == identity
    await host.stop("i", identity)


async def test_a_port_that_stays_taken_ends_the_start(machine: Machine) -> None:
    host = machine.host("echo ServeError; exit 1")
    with pytest.raises(Unavailable, match="ServeError"):
        await host.wait_ready("i", await host.spawn("i", machine.directory))


async def test_a_process_that_ignores_term_is_killed(machine: Machine, hasty_clock: Clock) -> None:
    host = machine.host(f"trap '' TERM; {ANNOUNCE}; touch \"$HOME/up\"; while :; do sleep 0.05; done")
    identity = await host.spawn("i", machine.directory)
    await trio.to_thread.run_sync(wait_for_file, machine.root / "up")
    steps = await host.stop("i", identity)
    assert [step.step for step in steps[:3]] == ["term", "term_again", "kill"]
    assert identify(identity.pid) is None
    assert await host.find() == ()


def wait_for_file(file: Path) -> None:
    for _ in range(1000):
        if file.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{file} never came")


async def test_shells_that_left_their_group_are_swept(machine: Machine) -> None:
    left = "setsid sleep 1000 & (setsid sh -c 'sleep 1000 & echo $! > \"$HOME/pid\"; sleep 1000' &)"
    host = machine.host(f"{left}\n{ANNOUNCE}; exec sleep 1000")
    identity = await host.spawn("i", machine.directory)
    await eventually(lambda: (machine.root / "pid").exists() and (machine.root / "pid").read_text() != "")
    found = await host.find()
    assert [process.identity for process in found if process.server] == []  # `sleep` is not `serve`
    assert len(found) == 5
    steps = await host.stop("i", identity)
    assert [step.step for step in steps] == ["term", "sweep"]
    assert len(steps[1].pids) == 4
    assert identify(int((machine.root / "pid").read_text())) is None
    assert await host.stop("i", identity) == ()


async def test_what_tools_left_running_in_a_directory_is_ended_and_nothing_else(machine: Machine) -> None:
    own, other = machine.root / "own", machine.root / "other"
    for directory in (own / "below", other):
        directory.mkdir(parents=True)
    tools = f"""
import os, subprocess
environment = {{**os.environ, "OPENCODE_PID": str(os.getpid())}}
stubborn = "trap \'\' TERM; while :; do sleep 0.1; done"
for command, place in ((["sleep", "999"], "own/below"), (["sh", "-c", stubborn], "own"), (["sleep", "999"], "other")):
    subprocess.Popen(command, cwd="{machine.root}/" + place, env=environment, start_new_session=True)
port = int"""
    host = machine.host(HEALTHY.replace("\nport = int", tools))
    identity = await host.spawn("i", str(own))
    await host.wait_ready("i", identity)
    assert await host.end_in(str(own), "another") == ()
    ended = await host.end_in(str(own), "i")
    assert len(ended) >= 2
    assert await host.end_in(str(own)) == ()
    left = {process.identity.pid for process in await host.find()}
    assert identity.pid in left
    assert len(left) == 2
    assert not left & set(ended)
    await host.stop("i", identity)


async def test_a_process_whose_identity_was_never_logged_is_found_by_its_marker(machine: Machine) -> None:
    host = machine.host(HEALTHY)
    identity = await host.spawn("i", machine.directory)
    found = await host.find()
    assert [(process.identity, process.server) for process in found] == [(identity, True)]
    assert [step.step for step in await host.stop("i", None)] == ["term"]
    assert await host.find() == ()


async def test_another_fleets_processes_are_not_seen(machine: Machine) -> None:
    ours, theirs = machine.host(HEALTHY), machine.host(HEALTHY, data_dir="theirs")
    identity = await theirs.spawn("i", machine.directory)
    assert await ours.find() == ()
    assert await ours.stop("i", None) == ()
    assert identify(identity.pid) == identity
    await theirs.stop("i", identity)


async def test_a_process_of_a_copied_data_directory_is_neither_awaited_nor_stopped(machine: Machine) -> None:
    original = machine.host(HEALTHY, data_id="original")
    identity = await original.spawn("i", machine.directory)
    for copy in (machine.host(HEALTHY, "copy", data_id="original"), machine.host(HEALTHY, data_id="another")):
        assert await copy.find() == ()
        assert await copy.stop("i", identity) == ()
        assert await copy.wait_exit("i", identity) == Exit()
    assert identify(identity.pid) == identity
    assert [found.identity for found in await original.find()] == [identity]
    await original.stop("i", identity)


async def test_a_reused_pid_is_not_signalled(machine: Machine) -> None:
    host = machine.host(HEALTHY)
    identity = await host.spawn("i", machine.directory)
    former = ProcessIdentity(identity.pid, identity.started_at - 1, identity.boot_id)
    other_boot = ProcessIdentity(identity.pid, identity.started_at, "another boot")
    for wrong in (former, other_boot):
        assert not send(wrong, signal.SIGKILL)
        assert not send(wrong, signal.SIGKILL, group=True)
        assert host.memory_bytes(wrong) is None
        await LocalOpenCodeHost(machine.root / "data").wait_exit("i", wrong)
    assert identify(identity.pid) == identity
    await host.stop("i", identity)


async def test_the_first_start_is_alone(machine: Machine) -> None:
    """Two processes that make OpenCode's database at the same moment damage it."""
    store = '"$HOME/.local/share/opencode"'
    body = f"mkdir {store}.lock || exit 9; mkdir -p {store}; sleep 0.2; touch {store}/opencode.db; rmdir {store}.lock"
    (machine.root / ".local/share").mkdir(parents=True)
    host = machine.host(f"[ -e {store}/opencode.db ] || {{ {body}; }}\n{ANNOUNCE}; exec sleep 1000")
    async with trio.open_nursery() as nursery:
        for name in ("a", "b", "c"):
            nursery.start_soon(host.spawn, name, machine.directory)
    assert sorted(found.instance_id for found in await host.find()) == ["a", "b", "c"]
    for name in ("a", "b", "c"):
        await host.stop(name, None)


async def test_start_in_a_missing_directory_is_refused(machine: Machine) -> None:
    host = machine.host(HEALTHY)
    with pytest.raises(Unavailable) as refused:
        await host.spawn("i", str(machine.root / "gone"))
    assert refused.value.code == "directory_missing"


async def test_connecting_to_a_stopped_instance_is_refused(machine: Machine) -> None:
    host = machine.host(HEALTHY)
    identity = await host.spawn("i", machine.directory)
    endpoint = await host.wait_ready("i", identity)
    await host.stop("i", identity)
    with pytest.raises(Unavailable) as refused:
        async with host.connect("i", endpoint):
            pass
    assert refused.value.code == "opencode_unreachable"


def test_configuration_of_the_user_overrides_that_of_fleet() -> None:
    ours = {"model": "rehearsal/x", "provider": {"rehearsal": {"name": "R"}}}
    theirs = '{"model": "theirs/y", "provider": {"theirs": {}}}'
    merged = inherited({"OPENCODE_CONFIG_CONTENT": theirs}, ours)["OPENCODE_CONFIG_CONTENT"]
    assert merged == '{"model":"theirs/y","provider":{"rehearsal":{"name":"R"},"theirs":{}}}'
    assert merged_config({"a": {"b": 1}}, {"a": 2}) == {"a": 2}


def test_configuration_that_cannot_be_merged_is_refused_at_start() -> None:
    with pytest.raises(StartupError, match="OPENCODE_CONFIG_CONTENT is not a JSON object"):
        inherited({"OPENCODE_CONFIG_CONTENT": "// a comment"}, {"model": "x"})
    kept = inherited({"OPENCODE_CONFIG_CONTENT": "// a comment"}, {})
    assert kept == {"OPENCODE_CONFIG_CONTENT": "// a comment"}


async def test_stop_waits_for_a_cancelled_launch(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The launch went on in its thread, after the stop had found nothing."""
    host = machine.host("exec sleep 1000")
    await host.learn_version()
    launching = threading.Event()
    start = subprocess.Popen

    def slow(*args: Any, **options: Any) -> Any:
        launching.set()
        time.sleep(0.5)
        return start(*args, **options)

    monkeypatch.setattr(subprocess, "Popen", slow)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host.spawn, "i", machine.directory)
        await eventually(launching.is_set)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await host.stop("i", None)
    assert await host.find() == ()
