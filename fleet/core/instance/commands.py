"""The commands to an instance: what callers ask, and what its own effects report. Times are Unix milliseconds."""

from typing import Literal

import msgspec

from fleet.ports import Endpoint, Exit, ProcessIdentity, StopStep

StopReason = Literal["unused", "shutdown", "failed", "hung"]
"""Why a process is stopped: no session uses it, Fleet shuts down, it never became ready, or it is proven to be hung."""


class StartInstance(msgspec.Struct, frozen=True):
    """Start a process for `session_id`. Sessions with the same `key` share it; `directory` is where it starts."""

    instance_id: str
    key: str
    directory: str
    session_id: str
    session_directory: str
    at_ms: int


class AttachSession(msgspec.Struct, frozen=True):
    """Let a session use this instance."""

    session_id: str
    directory: str
    at_ms: int


class DetachSession(msgspec.Struct, frozen=True):
    """The session does not use this instance any more; the last one out stops it."""

    session_id: str
    at_ms: int


class StopInstance(msgspec.Struct, frozen=True):
    """Stop the process, whoever uses it."""

    reason: StopReason
    at_ms: int


class ReportSpawned(msgspec.Struct, frozen=True):
    """The process runs; this is it."""

    identity: ProcessIdentity
    at_ms: int


class ReportReady(msgspec.Struct, frozen=True):
    """The process serves."""

    endpoint: Endpoint
    at_ms: int


class ReportStartFailed(msgspec.Struct, frozen=True):
    """The process could not be started or never became ready; `code` is a problem code."""

    code: str
    detail: str
    at_ms: int


class ReportUnreachable(msgspec.Struct, frozen=True):
    """The process lives and does not answer."""

    evidence: str
    at_ms: int


class ReportReachable(msgspec.Struct, frozen=True):
    """The process answers again."""

    at_ms: int


class ReportLost(msgspec.Struct, frozen=True):
    """The process is proven to be gone."""

    exit: Exit
    evidence: str
    at_ms: int


class ReportInstanceStopped(msgspec.Struct, frozen=True):
    """The stop ladder is through: no process of this instance is left."""

    steps: tuple[StopStep, ...]
    at_ms: int


class NoteAllowance(msgspec.Struct, frozen=True):
    """A person has allowed something for good: OpenCode then asks no session of the directory for it."""

    session_id: str
    request_id: str
    directory: str
    permission: str
    patterns: tuple[str, ...]
    at_ms: int


class ReportInformed(msgspec.Struct, frozen=True):
    """The session knows that this instance has ended."""

    session_id: str
    at_ms: int


Command = (
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
