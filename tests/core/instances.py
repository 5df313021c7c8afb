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
    Event,
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

START = StartInstance("i1", "/src/.git", "/src", "s1", "/trees/w1", AT)
SPAWNED = ReportSpawned(IDENTITY, AT)
READY = ReportReady(ENDPOINT, AT)
START_FAILED = ReportStartFailed("opencode_exited", "exit code 1", AT)
SILENT = ReportUnreachable("no answer for 15 s", AT)
ANSWERING = ReportReachable(AT)
GONE = ReportLost(Exit(signal=9), "killed", AT)
ALLOW = NoteAllowance("s1", "r1", "/trees/w1", "bash", ("git status *",), AT)
STOPPED = ReportInstanceStopped(STEPS, AT)


def attach(session: str, directory: str = "/trees/w2") -> AttachSession:
    return AttachSession(session, directory, AT)


def detach(session: str) -> DetachSession:
    return DetachSession(session, AT)


def stop(reason: StopReason = "shutdown") -> StopInstance:
    return StopInstance(reason, AT)


def informed(session: str) -> ReportInformed:
    return ReportInformed(session, AT)


def attached(session: str, directory: str = "/trees/w2") -> SessionAttached:
    return SessionAttached(session, directory, AT)


def detached(session: str) -> SessionDetached:
    return SessionDetached(session, AT)


REQUESTED: tuple[Event, ...] = (
    InstanceRequested("i1", "/src/.git", "/src", AT),
    attached("s1", "/trees/w1"),
)
RUNS: tuple[Event, ...] = (*REQUESTED, InstanceSpawned(IDENTITY, AT))
SERVES: tuple[Event, ...] = (*RUNS, InstanceReady(ENDPOINT, AT))
SHARED: tuple[Event, ...] = (*SERVES, attached("s2"))
UNREACHABLE: tuple[Event, ...] = (*SERVES, InstanceUnreachable("no answer for 15 s", AT))
STOPPING: tuple[Event, ...] = (*SHARED, InstanceStopRequested("shutdown", AT))
OVER: tuple[Event, ...] = (*STOPPING, InstanceStopped(STEPS, AT))
LOST: tuple[Event, ...] = (*SHARED, InstanceLost(Exit(signal=9), "killed", AT))
