"""The items of hosts."""

from fleet.actors.fleet import Fleet
from fleet.actors.usecases.hosts import HostView
from fleet.core.hosts import EngineLost, KnownHost
from fleet.core.times import rfc3339
from fleet.wire.enums import HostStatus
from fleet.wire.hosts import EngineItem, HostItem


def host_item(fleet: Fleet, view: HostView) -> HostItem:
    """Return what the API shows of a host."""
    known, live = view.known, view.live
    facts = live or known.facts
    return HostItem(
        name=known.name,
        status=_status(known),
        status_since=rfc3339(_since_ms(known) or fleet.started_at_ms),
        evidence=known.evidence,
        draining=known.draining_since_ms is not None,
        cores=None if facts is None else facts.cpus,
        memory_bytes=None if facts is None else facts.memory_bytes,
        memory_free_bytes=None if live is None else live.memory_free_bytes,
        disk_free_bytes=None if live is None else live.disk_free_bytes,
        processes=view.processes,
        sessions=view.sessions,
        version=None if facts is None else facts.version,
        opencode_version=None if facts is None else facts.opencode_version,
        git_version=None if facts is None else facts.git_version,
        python_version=None if facts is None else facts.python_version,
        engine_version=None if facts is None else facts.engine_version,
        labels={} if facts is None else dict(facts.labels),
        epoch=None if facts is None else facts.epoch,
        address=None if facts is None else facts.address,
    )


def engine_item(lost: EngineLost | None) -> EngineItem:
    """Return what the API shows of the engine."""
    if lost is None:
        return EngineItem(answers=True, since=None, evidence="")
    return EngineItem(answers=False, since=rfc3339(lost.at_ms), evidence=lost.evidence)


def _status(known: KnownHost) -> HostStatus:
    return "draining" if known.phase == "up" and known.draining_since_ms is not None else known.phase


def _since_ms(known: KnownHost) -> int:
    """Return since when the status is what it is; 0 for `local`, which is up as long as the server runs."""
    return known.draining_since_ms if known.phase == "up" and known.draining_since_ms is not None else known.since_ms
