"""What the log keeps of hosts: what they are, silence, loss and return with evidence, draining; no heartbeat."""

import pytest
from msgspec.structs import replace

from fleet.core import hosts as m
from fleet.core.decider import fold
from fleet.errors import Rejected
from fleet.limits import HOSTS_KNOWN_MAX
from fleet.ports import LOCAL, EngineDown, EngineUp, HostEvent, HostInfo, HostLost, HostSilent, HostUp

NODE = HostInfo(
    name="node1",
    epoch="e1",
    address="10.0.0.11",
    root="/srv/fleet",
    version="1.0",
    opencode_version="1.18.32",
    git_version="2.39",
    python_version="3.11.7",
    engine_version="2.60.0",
    labels={"zone": "a"},
    cpus=8.0,
    memory_bytes=16 << 30,
    memory_free_bytes=9 << 30,
    disk_free_bytes=90 << 30,
    clock_ms=5,
)
UP, SILENT, LOST = HostUp(NODE), HostSilent("node1", "no answer for 10 s"), HostLost("node1", "no answer for 135 s")


def decided(state: m.State, step: HostEvent | m.HostsCommand, at_ms: int = 0) -> tuple[m.HostsEvent, ...]:
    command = step if isinstance(step, m.DrainHost | m.UndrainHost | m.NoteNews) else m.NoteNews(news=step, at_ms=at_ms)
    return m.decide(command, state)


def after(*steps: HostEvent | m.HostsCommand) -> m.State:
    """Return the state after these steps, at 1, 2, 3, … ms."""
    state = m.initial(m.HOSTS_ID)
    for at_ms, step in enumerate(steps, 1):
        state = fold(m.HOSTS, state, decided(state, step, at_ms))
    return state


def drain(name: str = "node1") -> m.DrainHost:
    return m.DrainHost(name=name, at_ms=7)


def undrain(name: str = "node1") -> m.UndrainHost:
    return m.UndrainHost(name=name, at_ms=8)


def test_host_that_responds_is_recorded_with_its_description() -> None:
    host = after(UP).hosts["node1"]
    assert (host.phase, host.since_ms, host.facts) == ("up", 1, m.facts_of(NODE))


def test_heartbeats_of_a_host_are_not_logged() -> None:
    busier = HostUp(replace(NODE, memory_free_bytes=1, disk_free_bytes=2, clock_ms=99))
    assert decided(after(UP), busier) == ()
    assert decided(after(UP), HostUp(replace(NODE, name=LOCAL))) == ()


def test_new_agent_of_a_host_is_logged_and_changes_no_phase() -> None:
    restarted = HostUp(replace(NODE, epoch="e2", version="1.1"))
    state = after(UP, drain(), restarted)
    assert state.hosts["node1"].facts == m.facts_of(restarted.info)
    assert state.hosts["node1"].since_ms == 1
    assert state.draining == {"node1"}


def test_silence_loss_and_return_of_a_host_carry_their_evidence() -> None:
    silent = after(UP, SILENT).hosts["node1"]
    assert (silent.phase, silent.since_ms, silent.evidence) == ("silent", 2, "no answer for 10 s")
    lost = after(UP, SILENT, LOST)
    assert (lost.hosts["node1"].phase, lost.hosts["node1"].evidence) == ("lost", "no answer for 135 s")
    assert decided(lost, UP, 9) == (m.HostReturned(name="node1", away_since_ms=3, at_ms=9),)
    back = after(UP, SILENT, LOST, UP).hosts["node1"]
    assert (back.phase, back.since_ms, back.evidence) == ("up", 4, "")


def test_lost_host_returns_with_a_new_agent() -> None:
    events = decided(after(UP, SILENT), HostUp(replace(NODE, epoch="e2")))
    assert [type(event) for event in events] == [m.HostReturned, m.HostSeen]


@pytest.mark.parametrize(
    ("before", "news"),
    [
        ((UP, SILENT), SILENT),
        ((UP, LOST), LOST),
        ((UP, LOST), SILENT),
        ((), SILENT),
        ((), LOST),
        ((EngineDown("gone"),), EngineDown("gone again")),
        ((), EngineUp()),
    ],
)
def test_repeated_reports_and_reports_of_unknown_hosts_are_not_logged(
    before: tuple[HostEvent, ...], news: HostEvent
) -> None:
    assert decided(after(*before), news) == ()


def test_loss_and_return_of_the_engine_of_the_hosts_are_logged() -> None:
    lost = after(UP, EngineDown("the sidecar ended"))
    assert lost.engine_lost is not None
    assert (lost.engine_lost.evidence, lost.hosts["node1"].phase) == ("the sidecar ended", "up")
    assert decided(lost, EngineUp(), 9) == (m.EngineBack(away_since_ms=2, at_ms=9),)
    assert after(UP, EngineDown("x"), EngineUp()).engine_lost is None


def test_drained_host_stays_drained_over_a_silence_until_undrain() -> None:
    assert after(UP, drain(), SILENT, UP).draining == {"node1"}
    assert after(UP, drain(), undrain()).draining == set()
    assert decided(after(UP, drain()), drain()) == decided(after(UP), undrain()) == ()


@pytest.mark.parametrize(("name", "code"), [("nowhere", "host_not_found"), (LOCAL, "host_local")])
def test_unknown_hosts_and_the_servers_machine_cannot_be_drained(name: str, code: str) -> None:
    for command in (drain(name), undrain(name)):
        with pytest.raises(Rejected) as caught:
            decided(after(UP), command)
        assert caught.value.code == code


def test_above_the_limit_of_hosts_the_one_lost_first_is_forgotten() -> None:
    state = after(UP, LOST)
    state = replace(state, hosts={**state.hosts, **{str(n): m.KnownHost(str(n)) for n in range(HOSTS_KNOWN_MAX - 1)}})
    grown = fold(m.HOSTS, state, decided(state, HostUp(replace(NODE, name="node2"))))
    assert len(grown.hosts) == HOSTS_KNOWN_MAX
    assert "node1" not in grown.hosts
