"""The events of an instance: past tense, as the log holds them. Times are Unix milliseconds."""

import msgspec

from fleet.core.instance.commands import StopReason
from fleet.ports import Endpoint, Exit, ProcessIdentity, StopStep


class InstanceRequested(msgspec.Struct, frozen=True):
    """A process is to be spawned."""

    instance_id: str
    key: str
    directory: str
    at_ms: int


class SessionAttached(msgspec.Struct, frozen=True):
    """The session uses this instance, in `directory`."""

    session_id: str
    directory: str
    at_ms: int


class SessionDetached(msgspec.Struct, frozen=True):
    """The session does not use this instance any more, or knows that it has ended."""

    session_id: str
    at_ms: int


class InstanceSpawned(msgspec.Struct, frozen=True):
    """The process has this identity."""

    identity: ProcessIdentity
    at_ms: int


class InstanceReady(msgspec.Struct, frozen=True):
    """The process serves there."""

    endpoint: Endpoint
    at_ms: int


class InstanceStartFailed(msgspec.Struct, frozen=True):
    """There is no use in waiting for this process."""

    code: str
    detail: str
    at_ms: int


class InstanceUnreachable(msgspec.Struct, frozen=True):
    """The process lives and does not answer."""

    evidence: str
    at_ms: int


class InstanceReachable(msgspec.Struct, frozen=True):
    """The process answers again."""

    at_ms: int


class InstanceLost(msgspec.Struct, frozen=True):
    """The process is gone, and nobody had asked for it; what its tools started is to be swept."""

    exit: Exit
    evidence: str
    at_ms: int


class InstanceStopRequested(msgspec.Struct, frozen=True):
    """The process is to be stopped."""

    reason: StopReason
    at_ms: int


class InstanceStopped(msgspec.Struct, frozen=True):
    """No process of this instance is left; these steps were taken."""

    steps: tuple[StopStep, ...]
    at_ms: int


class RemnantsKilled(msgspec.Struct, frozen=True):
    """Nothing that the lost process's tools had started is left."""

    steps: tuple[StopStep, ...]
    at_ms: int


class PermissionAllowed(msgspec.Struct, frozen=True):
    """What `always` was answered to a request of the session: it holds for every session of the directory.

    It ends with the process. `patterns` are OpenCode's.
    """

    session_id: str
    request_id: str
    directory: str
    permission: str
    patterns: tuple[str, ...]
    at_ms: int


Event = (
    InstanceRequested
    | SessionAttached
    | SessionDetached
    | InstanceSpawned
    | InstanceReady
    | InstanceStartFailed
    | InstanceUnreachable
    | InstanceReachable
    | InstanceLost
    | InstanceStopRequested
    | InstanceStopped
    | RemnantsKilled
    | PermissionAllowed
)
