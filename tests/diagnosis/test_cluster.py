"""What the doctor says of a cluster: of machines that are well, and of ones that are not."""

import os
from pathlib import Path

import msgspec
import pytest

from fleet import __version__
from fleet.adapters.ray.presence import Presence
from fleet.adapters.ray.survey import Server, Survey, Surveyed
from fleet.config import Config, load_config
from fleet.diagnosis.checks import Check
from fleet.diagnosis.cluster import check_served, check_survey, check_token, examine_cluster
from fleet.events.directory_identity import write_identity
from fleet.limits import MIB
from fleet.ports import HostInfo
from fleet.wire.enums import HostStatus
from fleet.wire.hosts import HostItem

INFO = HostInfo(
    name="",
    epoch="",
    address="10.0.0.2",
    root="/home/me",
    version=__version__,
    opencode_version="1.18.33",
    git_version="2.45.0",
    python_version="3.11.7",
    engine_version="2.60.0",
    labels={},
    cpus=4.0,
    memory_bytes=16384 * MIB,
    memory_free_bytes=8192 * MIB,
    disk_free_bytes=100_000 * MIB,
    clock_ms=0,
)
HEAD = Surveyed("10.0.0.1", {}, is_head=True, info=INFO, is_reachable=True)
N1 = Surveyed("10.0.0.2", {"fleet-host": "n1"}, is_head=False, info=INFO, is_reachable=True)


def configure(**flags: str) -> Config:
    given = {"hosts": "ray", "ray_address": "10.0.0.1:6379", **flags}
    return load_config(given, {"FLEET_CONFIG": os.devnull})


def checks(*machines: Surveyed, **flags: str) -> list[Check]:
    """Return the checks of a cluster of a head and these machines, without that of the cluster itself."""
    survey = Survey((HEAD, *machines), engine_version="2.60.0", python_version="3.11.7")
    cluster, *found = check_survey(survey, configure(**flags))
    assert cluster.state == "ok"
    return found


def other(**facts: object) -> Surveyed:
    return msgspec.structs.replace(N1, info=msgspec.structs.replace(INFO, **facts))


def test_a_machine_that_is_well_has_one_line() -> None:
    (found,) = checks(N1)
    assert (found.name, found.state) == ("host n1", "ok")
    for word in ("10.0.0.2", __version__, "1.18.33", "2.45.0", "3.11.7", "+0 ms", "8,192 MiB", "100,000 MiB"):
        assert word in found.detail


@pytest.mark.parametrize(
    ("machine", "state", "detail"),
    [
        (other(opencode_version=None), "failed", "OpenCode is missing"),
        (other(opencode_version="1.0.1"), "warning", "OpenCode 1.0.1 is older"),
        (other(git_version=""), "failed", "git is missing"),
        (other(version="0.0.9"), "warning", f"Fleet 0.0.9, and {__version__} here"),
        (other(python_version="3.11.8"), "failed", "Python 3.11.8, and 3.11.7 here"),
        (other(engine_version="2.59.0"), "failed", "Ray 2.59.0, and 2.60.0 here"),
        (other(disk_free_bytes=10 * MIB), "failed", "10 MiB free on its disk"),
        (other(disk_free_bytes=900 * MIB), "warning", "900 MiB free on its disk"),
        (other(memory_free_bytes=100 * MIB), "warning", "100 MiB of memory free"),
        (msgspec.structs.replace(N1, skew_ms=-3500), "warning", "its clock is 3.5 s behind the server's"),
        (msgspec.structs.replace(N1, skew_ms=60_000), "warning", "its clock is 60.0 s ahead of the server's"),
        (msgspec.structs.replace(N1, labels={"fleet-host": "local"}), "failed", "the name local is that of the"),
        (msgspec.structs.replace(N1, is_reachable=False), "failed", "does not reach ports that programs choose at"),
        (msgspec.structs.replace(N1, info=None, problem="Fleet is not installed there"), "failed", "not installed"),
    ],
)
def test_each_fault_of_a_machine_has_a_sentence_and_advice(machine: Surveyed, state: str, detail: str) -> None:
    (found,) = checks(machine)
    assert found.state == state
    assert detail in found.detail
    assert found.advice.endswith((".", ")"))


def test_ports_need_not_be_open_where_the_agent_is_the_way() -> None:
    (found,) = checks(msgspec.structs.replace(N1, is_reachable=False), host_reach="agent")
    assert found.state == "ok"


def test_labels_are_there_and_unique() -> None:
    twice = checks(N1, msgspec.structs.replace(N1, address="10.0.0.3"))
    assert [each.detail for each in twice] == ["several machines have this label"] * 2
    unnamed, none = checks(msgspec.structs.replace(N1, labels={}))
    assert (unnamed.name, unnamed.state) == ("at 10.0.0.2", "warning")
    assert (none.state, none.detail) == ("failed", "no machine has the label fleet-host: there is no host")


def test_a_cluster_that_does_not_answer_is_the_only_fault() -> None:
    (found,) = check_survey(Survey(failure="10.0.0.1:6379 does not answer: Connection refused"), configure())
    assert (found.state, found.detail) == ("failed", "10.0.0.1:6379 does not answer: Connection refused")


async def test_without_a_cluster_or_a_token_nothing_is_asked() -> None:
    (found,) = await examine_cluster(load_config({}, {"FLEET_CONFIG": os.devnull}), {})
    assert (found.state, found.detail) == ("failed", "Fleet is configured for this machine alone")
    (found,) = await examine_cluster(configure(), {"RAY_AUTH_MODE": "disabled"})
    assert "RAY_AUTH_MODE is not `token`" in found.detail


def test_a_token_that_others_can_read_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "token"
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}
    assert check_token(environment).state == "failed"
    file.write_text("secret")
    for mode, state in ((0o644, "warning"), (0o600, "ok")):
        file.chmod(mode)
        assert check_token(environment).state == state


def served(name: str, status: HostStatus, evidence: str = "") -> HostItem:
    nothing = dict.fromkeys(HostItem.__struct_fields__)
    return msgspec.convert(
        {
            **msgspec.to_builtins(nothing),
            "name": name,
            "status": status,
            "statusSince": "2026-01-01T00:00:00Z",
            "evidence": evidence,
            "draining": status == "draining",
            "memoryBytes": None,
            "memoryFreeBytes": None,
            "diskFreeBytes": None,
            "opencodeVersion": None,
            "gitVersion": None,
            "pythonVersion": None,
            "engineVersion": None,
            "processes": 0,
            "sessions": 0,
            "labels": {},
        },
        HostItem,
    )


def test_hosts_that_the_server_does_not_hear_are_named_with_evidence() -> None:
    hosts = [served("local", "up"), served("n1", "draining"), served("n2", "silent", "no answer within 8 s")]
    silent, server = check_served(hosts)
    assert (silent.name, silent.state) == ("host n2", "failed")
    assert silent.detail == "silent for the server since 2026-01-01T00:00:00Z: no answer within 8 s"
    assert (server.state, server.detail) == ("ok", "it hears 1 of 2 hosts")


def presence(host: str = "n1", heard_ago_s: float | None = None, opencode: int = 0) -> Presence:
    return Presence("d2", host, f"/home/me/{host}", 1, heard_ago_s, processes=opencode, opencode=opencode)


D2 = Server("d2", agents=("n1", "n2", "n3"), reserved_on=("", "n1"), reservations=2, cpus=1.5, memory_mb=512)


def others(tmp_path: Path, server: Server, *presences: Presence) -> list[Check]:
    """Return the checks of other servers on a cluster whose own server has the id d1."""
    write_identity(tmp_path, "d1")
    machine = msgspec.structs.replace(N1, presences=presences)
    survey = Survey((HEAD, machine), servers=(Server("d1", agents=("n1",)), server))
    found = check_survey(survey, configure(data_dir=str(tmp_path), host_grace_s="60"))
    return [each for each in found if each.name == "other server"]


@pytest.mark.parametrize(
    ("server", "presences", "sign"),
    [
        (msgspec.structs.replace(D2, connected_from="10.0.0.9"), (), "it is connected to the cluster from 10.0.0.9"),
        (D2, (presence(heard_ago_s=59.0),), "it was heard 59 s ago"),
        (D2, (presence(heard_ago_s=900.0, opencode=1),), "its OpenCode runs on n1, until its lease there ends"),
    ],
)
def test_other_servers_on_the_cluster_are_named_with_what_they_hold(
    tmp_path: Path, server: Server, presences: tuple[Presence, ...], sign: str
) -> None:
    (another,) = others(tmp_path, server, *presences)
    assert (another.state, another.advice) == ("ok", "")
    assert another.detail == (
        "the Fleet whose data directory has the id d2 has an agent on n1, n2 and n3, and 2 reservations (1.5 cores, "
        f"512 MiB) on a machine that is to be started and n1; {sign}"
    )


@pytest.mark.parametrize(
    ("presences", "heard"),
    [
        ((), "no machine that is in the cluster now has heard it"),
        ((presence("n1", 61.0), presence("n2")), "it was last heard 61 s ago"),
        ((presence("n1", 86400 * 9.0), presence("n2", 7300.0)), "it was last heard 2 hours ago"),
    ],
)
def test_server_that_is_not_heard_any_more_is_a_warning_with_the_command_that_helps(
    tmp_path: Path, presences: tuple[Presence, ...], heard: str
) -> None:
    (another,) = others(tmp_path, D2, *presences)
    assert another.state == "warning"
    assert another.detail.endswith(f"; {heard}")
    assert another.advice.endswith("fleet cluster release d2")


def test_server_that_has_only_files_on_the_cluster_is_not_named(tmp_path: Path) -> None:
    assert others(tmp_path, Server("d2"), presence(heard_ago_s=900.0)) == []
