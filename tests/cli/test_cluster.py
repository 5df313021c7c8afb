"""`fleet cluster release` asks, refuses and reports; tests/ray/test_release.py releases on a real cluster."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from fleet.adapters.ray.presence import Presence
from fleet.adapters.ray.survey import Server, Survey, Surveyed
from fleet.cli.app import command_line
from fleet.cli.failures import sentence_and_code
from tests.cli.terminal import Done

HELD = Server("d2aa", agents=("n1", "n9"), reserved_on=("n1",), reservations=2, cpus=2.0, memory_mb=100)
LEFT = Presence("d2aa", "n1", "/home/me/d2aa/n1", 3, heard_ago_s=7300.0, processes=2, opencode=0)
N1 = Surveyed("10.0.0.2", {"fleet-host": "n1"}, is_head=False, presences=(LEFT,))
ENDED = msgspec.structs.replace(N1, presences=(msgspec.structs.replace(LEFT, processes=0),))
BEFORE = Survey((N1,), servers=(Server("d2bb"), HELD))
AFTER = Survey((ENDED,), servers=(Server("d2aa"), Server("d2bb")))


class Clusters:
    """The cluster before a release and after it, and what was released."""

    def __init__(self) -> None:
        self.before, self.after = BEFORE, AFTER
        self.released: list[str] = []

    async def survey(self, _address: str, _environment: Mapping[str, str], *, release: str | None = None) -> Survey:
        if release is None:
            return self.before
        self.released.append(release)
        return self.after


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Clusters:
    made = Clusters()
    monkeypatch.setattr("fleet.adapters.ray.survey.survey", made.survey)
    return made


def release(tmp_path: Path, *arguments: str, mode: str = "token") -> Done:
    unset = {name: None for name in os.environ if name.startswith(("FLEET_", "RAY_"))}
    variables = {"RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN": "f" * 64, "XDG_CONFIG_HOME": str(tmp_path)}
    place = ("--hosts", "ray", "--ray-address", "10.0.0.1:6379", "--data-dir", str(tmp_path / "data"))
    line = ("cluster", "release", *arguments, *place)
    result = CliRunner().invoke(command_line(line), line, env={**unset, **variables})
    told = None if result.exception is None else sentence_and_code(result.exception)
    if told is not None:
        return Done(told[1], result.stdout, told[0])
    return Done(result.exit_code, result.stdout, result.stderr)


def test_release_says_what_a_server_holds_what_it_ended_and_what_stays(cluster: Clusters, tmp_path: Path) -> None:
    done = release(tmp_path, "d2a", "--yes")
    assert (done.code, cluster.released) == (0, ["d2aa"])
    assert done.out.splitlines() == [
        "The server d2aa has an agent on n1 and n9, and 2 reservations (2 cores, 100 MiB) on n1; it was last heard 2 "
        "hours ago.",
        "  n1: 2 processes, 3 workspaces in /home/me/d2aa/n1",
        "  n9 is not in the cluster now: its directories cannot be seen, and its processes end by themselves",
        "Released: an agent on n1 and n9, and 2 reservations (2 cores, 100 MiB) on n1; 2 processes ended",
        "Left on n1: 3 workspaces in /home/me/d2aa/n1",
        "Work may exist only there. Remove a directory when nothing in it is needed.",
    ]
    told = json.loads(release(tmp_path, "d2aa", "--yes", "--json").out)
    assert (told["held"]["reservedOn"], told["ended"], told["holds"]["agents"]) == (["n1"], 2, [])
    assert told["left"][0]["directory"] == "/home/me/d2aa/n1"


def test_release_without_a_terminal_needs_yes_and_shows_what_it_would_free(cluster: Clusters, tmp_path: Path) -> None:
    done = release(tmp_path, "d2aa")
    assert (done.code, cluster.released) == (2, [])
    assert "2 reservations" in done.out
    assert "use --yes to release" in done.err


def test_server_that_may_be_at_work_is_released_by_force_only(cluster: Clusters, tmp_path: Path) -> None:
    heard = msgspec.structs.replace(LEFT, heard_ago_s=3.0)
    cluster.before = Survey((msgspec.structs.replace(N1, presences=(heard,)),), servers=(HELD,))
    done = release(tmp_path, "d2aa", "--yes")
    assert (done.code, cluster.released) == (1, [])
    assert "d2aa may be at work: it was heard 3 s ago" in done.err
    done = release(tmp_path, "d2aa", "--yes", "--force")
    assert (done.code, cluster.released) == (0, ["d2aa"])
    assert "; it was heard 3 s ago." in done.out


def test_release_that_did_not_reach_everything_says_so_and_fails(cluster: Clusters, tmp_path: Path) -> None:
    deaf = Surveyed("10.0.0.3", {"fleet-host": "n9"}, is_head=False, problem="GetTimeoutError: no answer")
    cluster.after = Survey((N1, deaf), servers=(msgspec.structs.replace(HELD, agents=("n9",)),))
    done = release(tmp_path, "d2aa", "--yes")
    assert done.code == 1
    assert done.out.splitlines()[-2:] == [
        "n9 was not looked at: GetTimeoutError: no answer",
        "Not released: an agent on n9, and 2 reservations (2 cores, 100 MiB) on n1; 2 processes. Try again",
    ]
    at_work = msgspec.structs.replace(HELD, connected_from="10.0.0.9")
    cluster.after = Survey((N1,), servers=(at_work,))
    assert release(tmp_path, "d2aa", "--yes").out.endswith("It is at work, and starts them again: stop it first\n")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x", "No server 'x' has anything on this cluster. Those that have: d2bb, d2aa"),
        ("d2", "2 servers begin with 'd2': d2bb, d2aa"),
    ],
)
def test_release_needs_the_name_of_one_server(cluster: Clusters, tmp_path: Path, name: str, said: str) -> None:
    done = release(tmp_path, name, "--yes")
    assert (done.code, done.err, cluster.released) == (1, said, [])


def test_release_says_why_it_cannot_ask_the_cluster(cluster: Clusters, tmp_path: Path) -> None:
    cluster.before = Survey(failure="10.0.0.1:6379 does not answer: Connection refused")
    assert release(tmp_path, "d2aa").err == "10.0.0.1:6379 does not answer: Connection refused"
    assert "RAY_AUTH_MODE is not `token`" in release(tmp_path, "d2aa", mode="disabled").err
    line = ("cluster", "release", "d2aa", "--hosts", "local")
    result = CliRunner().invoke(command_line(line), line, env={"FLEET_CONFIG": os.devnull})
    assert result.exception is not None
    assert "Give --hosts ray" in str(result.exception)
