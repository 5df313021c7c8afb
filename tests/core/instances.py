"""Commands, events and histories of an instance, with everything filled in that a test does not care about."""

from fleet.core.instance.commands import (
    AttachSession,
    DetachSession,
    NoteAllowance,
    ReportInformed,
    ReportInstanceStopped,
    ReportLost,
    ReportReachable,
    ReportReady,
    ReportSpawned,
    ReportStartFailed,
    ReportUnreachable,
    StartInstance,
    StopInstance,
    StopReason,
)
from fleet.core.instance.events import (
    InstanceEvent,
    InstanceLost,
    InstanceReady,
    InstanceRequested,
    InstanceSpawned,
    InstanceStopped,
    InstanceStopRequested,
    InstanceUnreachable,
    SessionAttached,
    SessionDetached,
)
from fleet.ports import Endpoint, Exit, ProcessIdentity, StopStep

AT = 1_700_000_000_000
IDENTITY = ProcessIdentity(4711, 12.5, "boot")
ENDPOINT = Endpoint(4096, "1.18.33")
STEPS = (StopStep("term", (4711,)), StopStep("sweep"))

START = StartInstance(
    instance_id="i1", key="/src/.git", directory="/src", session_id="s1", session_directory="/trees/w1", at_ms=AT
)
SPAWNED = ReportSpawned(identity=IDENTITY, at_ms=AT)
READY = ReportReady(endpoint=ENDPOINT, at_ms=AT)
START_FAILED = ReportStartFailed(code="opencode_exited", detail="exit code 1", at_ms=AT)
SILENT = ReportUnreachable(evidence="no answer for 15 s", at_ms=AT)
ANSWERING = ReportReachable(at_ms=AT)
GONE = ReportLost(exit=Exit(signal=9), evidence="killed", at_ms=AT)
ALLOW = NoteAllowance(
    session_id="s1", request_id="r1", directory="/trees/w1", permission="bash", patterns=("git status *",), at_ms=AT
)
HOST_SILENT = ReportUnreachable(evidence="its host n1 does not answer", of_host=True, at_ms=AT)
HOST_LOST = ReportLost(exit=Exit(), evidence="its host n1 is lost", host_lost=True, at_ms=AT)
STOPPED = ReportInstanceStopped(steps=STEPS, at_ms=AT)


def attach(session: str, directory: str = "/trees/w2") -> AttachSession:
    return AttachSession(session_id=session, directory=directory, at_ms=AT)


def detach(session: str) -> DetachSession:
    return DetachSession(session_id=session, at_ms=AT)


def stop(reason: StopReason = "shutdown") -> StopInstance:
    return StopInstance(reason=reason, at_ms=AT)


def informed(session: str) -> ReportInformed:
    return ReportInformed(session_id=session, at_ms=AT)


def attached(session: str, directory: str = "/trees/w2") -> SessionAttached:
    return SessionAttached(session_id=session, directory=directory, at_ms=AT)


def detached(session: str) -> SessionDetached:
    return SessionDetached(session_id=session, at_ms=AT)


REQUESTED: tuple[InstanceEvent, ...] = (
    InstanceRequested(instance_id="i1", key="/src/.git", directory="/src", at_ms=AT),
    attached("s1", "/trees/w1"),
)
RUNS: tuple[InstanceEvent, ...] = (*REQUESTED, InstanceSpawned(identity=IDENTITY, at_ms=AT))
SERVES: tuple[InstanceEvent, ...] = (*RUNS, InstanceReady(endpoint=ENDPOINT, at_ms=AT))
SHARED: tuple[InstanceEvent, ...] = (*SERVES, attached("s2"))
UNREACHABLE: tuple[InstanceEvent, ...] = (*SERVES, InstanceUnreachable(evidence="no answer for 15 s", at_ms=AT))
STOPPING: tuple[InstanceEvent, ...] = (*SHARED, InstanceStopRequested(reason="shutdown", at_ms=AT))
OVER: tuple[InstanceEvent, ...] = (*STOPPING, InstanceStopped(steps=STEPS, at_ms=AT))
LOST: tuple[InstanceEvent, ...] = (*SHARED, InstanceLost(exit=Exit(signal=9), evidence="killed", at_ms=AT))
