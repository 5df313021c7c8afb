"""The commands to an instance: what callers ask, and what its own effects report. Times are Unix milliseconds."""

from typing import Literal

from fleet.core.messages import Command
from fleet.ports import Endpoint, Exit, ProcessIdentity, StopStep

StopReason = Literal["unused", "shutdown", "failed", "hung"]
"""Why a process is stopped: no session uses it, Fleet shuts down, it never became ready, or it is proven to be hung."""


class StartInstance(Command, frozen=True, kw_only=True):
    """Start a process for `session_id`. Sessions with the same `key` share it; `directory` is where it starts."""

    instance_id: str
    key: str
    directory: str
    session_id: str
    session_directory: str


class AttachSession(Command, frozen=True, kw_only=True):
    """Let a session use this instance."""

    session_id: str
    directory: str


class DetachSession(Command, frozen=True, kw_only=True):
    """The session does not use this instance any more; the last one out stops it."""

    session_id: str


class StopInstance(Command, frozen=True, kw_only=True):
    """Stop the process, whoever uses it."""

    reason: StopReason


class ReportSpawned(Command, frozen=True, kw_only=True):
    """The process runs; this is it."""

    identity: ProcessIdentity


class ReportReady(Command, frozen=True, kw_only=True):
    """The process serves."""

    endpoint: Endpoint


class ReportStartFailed(Command, frozen=True, kw_only=True):
    """The process could not be started or never became ready; `code` is a problem code."""

    code: str
    detail: str


class ReportUnreachable(Command, frozen=True, kw_only=True):
    """The process lives and does not answer."""

    evidence: str


class ReportReachable(Command, frozen=True, kw_only=True):
    """The process answers again."""


class ReportLost(Command, frozen=True, kw_only=True):
    """The process is proven to be gone."""

    exit: Exit
    evidence: str


class ReportInstanceStopped(Command, frozen=True, kw_only=True):
    """The stop ladder is through: no process of this instance is left."""

    steps: tuple[StopStep, ...]


class NoteAllowance(Command, frozen=True, kw_only=True):
    """A person has allowed something for good: OpenCode then asks no session of the directory for it."""

    session_id: str
    request_id: str
    directory: str
    permission: str
    patterns: tuple[str, ...]


class ReportInformed(Command, frozen=True, kw_only=True):
    """The session knows that this instance has ended."""

    session_id: str


InstanceCommand = (
    StartInstance
    | AttachSession
    | DetachSession
    | StopInstance
    | ReportSpawned
    | ReportReady
    | ReportStartFailed
    | ReportUnreachable
    | ReportReachable
    | ReportLost
    | ReportInstanceStopped
    | ReportInformed
    | NoteAllowance
)
