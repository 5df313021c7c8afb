"""The state of a workspace, folded from its events."""

from typing import Final, Literal, get_args

import msgspec

from fleet.ports import Fault, PreparedWorkspace, PreservedWork, Recipe, WorkspaceSpec

Phase = Literal["absent", "preparing", "ready", "removing", "removed", "restoring", "failed", "erased"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)


class PortRange(msgspec.Struct, frozen=True):
    """A range of ports of the loopback address that is leased to one workspace."""

    first: int
    count: int


class Teardown(msgspec.Struct, frozen=True):
    """How the teardown ended; `exit_code` is None if it was cancelled."""

    exit_code: int | None
    detail: str
    output: str
    at_ms: int


class Leftover(msgspec.Struct, frozen=True):
    """Its directory on a host from which it has moved: by which spec it was made, and what had been saved of it.

    `made`: it was complete. Otherwise no session has worked there.
    """

    spec: WorkspaceSpec = msgspec.field(name="order")
    saved: PreservedWork | None
    made: bool = True


class ReturnedWork(msgspec.Struct, frozen=True):
    """Newer work of a workspace that was found on a host from which it had moved, and the ref that has it."""

    host: str
    ref: str


class State(msgspec.Struct, frozen=True):
    """A workspace. `sessions` are those that claim it, `kept` is the work that its last removal preserved.

    `saved` is the work on another host that was brought to the server's machine last. `left` is what may still be on
    hosts from which it has moved, `returned` the newer work that was found there.
    `claims` counts all claims so far, repeated ones of a session included. `fault` is the fault of a ready checkout.
    `recipe` is the one of the newest set-up, allowed in the repository `recipe_of`; its teardown is still to run.
    `set_up`: that set-up has succeeded.
    """

    id: str
    phase: Phase = "absent"
    since_ms: int = 0
    spec: WorkspaceSpec | None = msgspec.field(default=None, name="order")
    prepared: PreparedWorkspace | None = None
    sessions: tuple[str, ...] = ()
    claims: int = 0
    kept: PreservedWork | None = None
    failure_code: str | None = None
    failure_detail: str = ""
    title: str | None = None
    fault: Fault | None = None
    fault_since_ms: int = 0
    recipe: Recipe | None = None
    recipe_of: str | None = None
    set_up: bool = False
    teardown: Teardown | None = None
    ports: PortRange | None = None
    saved: PreservedWork | None = None
    left: tuple[Leftover, ...] = ()
    returned: tuple[ReturnedWork, ...] = ()


def initial(workspace_id: str) -> State:
    """Return the state of a workspace that does not exist yet."""
    return State(id=workspace_id)
