"""The commands to an instance: what callers ask, and what its own effects report. Times are Unix milliseconds."""

from typing import Literal

from fleet.core.messages import Command
from fleet.ports import LOCAL, Endpoint, Exit, ProcessIdentity, StopStep

StopReason = Literal["unused", "shutdown", "failed", "hung"]
"""Why a process is stopped: no session uses it, Fleet shuts down, it never became ready, or it is proven to be hung."""


class StartInstance(Command, frozen=True, kw_only=True):
    """Start a process for `session_id` on a host. Sessions with the same `key` share it.

    `directory` is where it starts.
    """

    instance_id: str
    key: str
    directory: str
    session_id: str
    session_directory: str
    host: str = LOCAL


class AttachSession(Command, frozen=True, kw_only=True):
    """Let a session use this instance."""

    session_id: str
    directory: str


class DetachSession(Command, frozen=True, kw_only=True):
    """The session no longer uses this instance. When no session is left, the instance is stopped."""

    session_id: str


class StopInstance(Command, frozen=True, kw_only=True):
    """Stop the process even if sessions use it."""

    reason: StopReason


class ReportSpawned(Command, frozen=True, kw_only=True):
    """The process runs and has this identity."""

    identity: ProcessIdentity


class ReportReady(Command, frozen=True, kw_only=True):
    """The process accepts requests."""

    endpoint: Endpoint


class ReportStartFailed(Command, frozen=True, kw_only=True):
    """The process could not be started or never became ready; `code` is a problem code."""

    code: str
    detail: str


class ReportUnreachable(Command, frozen=True, kw_only=True):
    """The process is alive and does not respond. `of_host`: because its host does not, which explains more."""

    evidence: str
    of_host: bool = False


class ReportReachable(Command, frozen=True, kw_only=True):
    """The process responds again."""


class ReportLost(Command, frozen=True, kw_only=True):
    """The process has ended, with proof. `host_lost`: its host is lost, and with it every process there."""

    exit: Exit
    evidence: str
    host_lost: bool = False


class ReportInstanceStopped(Command, frozen=True, kw_only=True):
    """All steps of the stop are done: no process of this instance is left."""

    steps: tuple[StopStep, ...]


class NoteAllowance(Command, frozen=True, kw_only=True):
    """A person has answered `always`: OpenCode no longer asks any session of the directory for this permission."""

    session_id: str
    request_id: str
    directory: str
    permission: str
    patterns: tuple[str, ...]


class ReportPermissionRules(Command, frozen=True, kw_only=True):
    """OpenCode has these agents with these permission rules in the directory: pairs of name and JSON."""

    directory: str
    agents: tuple[tuple[str, bytes], ...]


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
    | ReportPermissionRules
)
