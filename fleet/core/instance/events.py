"""The events of an instance: past tense, as the log holds them. Times are Unix milliseconds."""

import msgspec

from fleet.core.instance.commands import StopReason
from fleet.core.messages import Event
from fleet.ports import LOCAL, Endpoint, Exit, ProcessIdentity, StopStep


class InstanceRequested(Event, frozen=True, kw_only=True):
    """A process is to be spawned on this host."""

    instance_id: str
    key: str
    directory: str
    host: str = LOCAL


class SessionAttached(Event, frozen=True, kw_only=True):
    """The session uses this instance, in `directory`."""

    session_id: str
    directory: str


class SessionDetached(Event, frozen=True, kw_only=True):
    """The session no longer uses this instance, or knows that it has ended."""

    session_id: str


class InstanceSpawned(Event, frozen=True, kw_only=True):
    """The process has this identity."""

    identity: ProcessIdentity


class InstanceReady(Event, frozen=True, kw_only=True):
    """The process accepts requests at this endpoint."""

    endpoint: Endpoint


class InstanceStartFailed(Event, frozen=True, kw_only=True):
    """The process could not be started or never became ready."""

    code: str
    detail: str


class InstanceUnreachable(Event, frozen=True, kw_only=True):
    """The process is alive and does not respond, or its host does not; while it does not, for another reason."""

    evidence: str


class InstanceReachable(Event, frozen=True, kw_only=True):
    """The process responds again."""


class InstanceLost(Event, frozen=True, kw_only=True):
    """The process has ended unexpectedly; processes that its tools started are still to be killed.

    `host_lost`: its host is lost, and no process is left there.
    """

    exit: Exit
    evidence: str
    host_lost: bool = False


class InstanceStopRequested(Event, frozen=True, kw_only=True):
    """The process is to be stopped."""

    reason: StopReason


class InstanceStopped(Event, frozen=True, kw_only=True):
    """No process of this instance is left; these steps were taken."""

    steps: tuple[StopStep, ...]


class RemnantsKilled(Event, frozen=True, kw_only=True):
    """No process that the lost instance's tools had started is left."""

    steps: tuple[StopStep, ...]


class PermissionAllowed(Event, frozen=True, kw_only=True):
    """A person answered `always` to a request of the session. It applies to every session of the directory.

    It ends with the process. `patterns` are OpenCode's.
    """

    session_id: str
    request_id: str
    directory: str
    permission: str
    patterns: tuple[str, ...]


class AgentRules(msgspec.Struct, frozen=True):
    """The permission rules of an agent, in OpenCode's JSON."""

    name: str
    rules: msgspec.Raw


class PermissionRulesRead(Event, frozen=True, kw_only=True):
    """The rules by which the process asks, allows and denies in this directory, soon after it was ready.

    They say of a tool call without a request whether a rule allowed it. Each directory has rules of its own, which
    OpenCode reads once, when it first works there.
    """

    directory: str
    agents: tuple[AgentRules, ...]


InstanceEvent = (
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
    | PermissionRulesRead
)
