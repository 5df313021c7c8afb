"""Commands, events and histories of an instance, with everything filled in that a test does not care about."""

from fleet.core.instance import messages as m
from fleet.ports import Endpoint, Exit, ProcessIdentity, StopStep

AT = 1_700_000_000_000
IDENTITY = ProcessIdentity(4711, 12.5, "boot")
ENDPOINT = Endpoint(4096, "1.18.33")
STEPS = (StopStep("term", (4711,)), StopStep("sweep"))

START = m.StartInstance("i1", "/src/.git", "/src", "s1", "/trees/w1", AT)
SPAWNED = m.ReportSpawned(IDENTITY, AT)
READY = m.ReportReady(ENDPOINT, AT)
START_FAILED = m.ReportStartFailed("opencode_exited", "exit code 1", AT)
SILENT = m.ReportSilent("no answer for 15 s", AT)
ANSWERING = m.ReportAnswering(AT)
GONE = m.ReportGone(Exit(signal=9), "killed", AT)
ALLOW = m.NoteAllowance("s1", "r1", "/trees/w1", "bash", ("git status *",), AT)
STOPPED = m.ReportStopped(STEPS, AT)


def attach(session: str, directory: str = "/trees/w2") -> m.AttachSession:
    return m.AttachSession(session, directory, AT)


def detach(session: str) -> m.DetachSession:
    return m.DetachSession(session, AT)


def stop(reason: m.StopReason = "shutdown") -> m.StopInstance:
    return m.StopInstance(reason, AT)


def informed(session: str) -> m.ReportInformed:
    return m.ReportInformed(session, AT)


def attached(session: str, directory: str = "/trees/w2") -> m.SessionAttached:
    return m.SessionAttached(session, directory, AT)


def detached(session: str) -> m.SessionDetached:
    return m.SessionDetached(session, AT)


REQUESTED: tuple[m.Event, ...] = (
    m.InstanceRequested("i1", "/src/.git", "/src", AT),
    attached("s1", "/trees/w1"),
)
RUNS: tuple[m.Event, ...] = (*REQUESTED, m.InstanceSpawned(IDENTITY, AT))
SERVES: tuple[m.Event, ...] = (*RUNS, m.InstanceReady(ENDPOINT, AT))
SHARED: tuple[m.Event, ...] = (*SERVES, attached("s2"))
UNREACHABLE: tuple[m.Event, ...] = (*SERVES, m.InstanceUnreachable("no answer for 15 s", AT))
STOPPING: tuple[m.Event, ...] = (*SHARED, m.InstanceStopRequested("shutdown", AT))
OVER: tuple[m.Event, ...] = (*STOPPING, m.InstanceStopped(STEPS, AT))
LOST: tuple[m.Event, ...] = (*SHARED, m.InstanceLost(Exit(signal=9), "killed", AT))
