"""The state of an instance, folded from its events."""

from typing import Final, Literal, get_args

import msgspec

from fleet.core.instance.commands import StopReason
from fleet.core.instance.events import PermissionAllowed
from fleet.ports import LOCAL, Endpoint, ProcessIdentity

Phase = Literal["absent", "starting", "ready", "unreachable", "stopping", "stopped", "lost"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)
LIVE: Final[frozenset[Phase]] = frozenset(("ready", "unreachable"))
OVER: Final[frozenset[Phase]] = frozenset(("stopping", "stopped", "lost"))


class State(msgspec.Struct, frozen=True):
    """An instance.

    `host` is the machine that it runs on. `sessions` maps the sessions that use it, or do not know yet that it has
    ended, to their directories. `orderly`: it was stopped on purpose. `swept` is False while processes of a lost
    instance may still run. `host_lost`: it was lost with its host, where no process of it is left. `allowed` are the
    newest permissions that people answered with `always`.
    """

    id: str
    phase: Phase = "absent"
    since_ms: int = 0
    evidence: str = ""
    key: str = ""
    directory: str = ""
    sessions: dict[str, str] = {}
    identity: ProcessIdentity | None = None
    endpoint: Endpoint | None = None
    stop_reason: StopReason | None = None
    failure_code: str | None = None
    swept: bool = True
    created_at_ms: int = 0
    changed_at_ms: int = 0
    allowed: tuple[PermissionAllowed, ...] = ()
    host: str = LOCAL
    host_lost: bool = False
    rules: dict[str, str] = {}  # by directory in use, the digest of the permission rules that were read last

    @property
    def orderly(self) -> bool:
        """Whether Fleet stopped it on purpose."""
        return self.stop_reason in ("unused", "shutdown")

    @property
    def keeps_processes(self) -> bool:
        """Whether its own effects are responsible for its processes: they use, adopt or stop them, or kill remnants."""
        return self.phase not in ("absent", "stopped", "lost") or not self.swept


def initial(instance_id: str) -> State:
    """Return the state of an instance that does not exist yet."""
    return State(id=instance_id)
